// One question on standard input, one answer on standard output, both JSON. An error of a client is an answer too.
import { Console } from 'node:console';
import { text } from 'node:stream/consumers';

globalThis.console = new Console(process.stderr); // clients warn where the answer goes

export async function answer(ask) {
  const question = JSON.parse(await text(process.stdin));
  const told = await ask(question).catch(error => ({ error: describe(error) }));
  process.stdout.write(JSON.stringify(told));
}

export function describe(error) {
  const last = error.lastError ?? error; // what Vercel's retries gave up with
  return {
    name: last.name,
    message: last.message,
    status: last.statusCode ?? last.httpStatus ?? last.status ?? null,
    code: last.code ?? null,
  };
}
