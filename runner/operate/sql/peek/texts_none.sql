'', NULL, '', '', {unreadable}, NULL
