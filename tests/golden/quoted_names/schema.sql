CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Order ""x"" $$ ; --" (
    "select" int PRIMARY KEY, "new" text, "old" text, "Größe" int, "it's" text, n int, a int, "row" text
);
