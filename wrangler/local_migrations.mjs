// Applies the migrations of all local databases in one process, as `wrangler d1 migrations apply --local` does for one
// (same table, one transaction a file): that command costs two seconds a database, all this one second.
// Argument: {"persist": folder, "databases": [{"id": local id, "folder": its migrations}]}. Prints what it applied.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const APPLIED_TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

async function migrate(database, { id, folder }) {
  await database.prepare(APPLIED_TABLE).run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all();
  const applied = new Set(results.map((row) => row.name));
  const pending = readdirSync(folder).filter((name) => name.endsWith(".sql") && !applied.has(name));
  for (const name of pending.sort()) {
    const migration = database.prepare(readFileSync(join(folder, name), "utf8"));
    const record = database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name);
    try {
      await database.batch([migration, record]);
    } catch (error) {
      throw new Error(`migration ${join(folder, name)} failed: ${(error.cause ?? error).message}`);
    }
    console.log(`${id}: ${name}`);
  }
}

const { persist, databases } = JSON.parse(process.argv[2]);
const runtime = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: "",
    resourcePersistencePath: join(persist, "v3"),
    d1Databases: Object.fromEntries(databases.map(({ id }) => [id, id])),
  }),
);
try {
  for (const one of databases) await migrate(await runtime.getD1Database(one.id), one);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await runtime.dispose();
}
