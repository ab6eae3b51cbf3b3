'archived'
