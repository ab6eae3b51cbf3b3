greatest({returned}, {claims} - 1 - {attempts} - {released})
