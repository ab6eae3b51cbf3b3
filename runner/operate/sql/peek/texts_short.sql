error, NULL, operation, place, {unreadable}, headers
