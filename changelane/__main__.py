from changelane.cli import main

main()
