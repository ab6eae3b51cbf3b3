hashtextextended({headers}->>'x-pgmq-group', 0)
