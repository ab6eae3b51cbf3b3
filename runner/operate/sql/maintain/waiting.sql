SELECT EXISTS (SELECT FROM {default_partition})
