NULL, {unreadable}, NULL, NULL
