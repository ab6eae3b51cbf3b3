({names}) {sign} (SELECT {plain} FROM jsonb_populate_record(NULL::{row}, {key}::jsonb))
