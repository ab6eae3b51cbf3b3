error, key, operation, place, message, headers
