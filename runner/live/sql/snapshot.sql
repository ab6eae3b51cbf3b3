SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = 0;
-- With these, names of types come out qualified unless they are built in, and quoted only if they need it.
SET LOCAL search_path = '';
SET LOCAL quote_all_identifiers = off;
-- Of catalogs that nobody analyzed the planner expects so much that compiling takes longer than the query.
SET LOCAL jit = off;
