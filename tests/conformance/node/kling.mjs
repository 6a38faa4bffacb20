// The client `kling-api`: a task of one of its families, its result, its file, and what is left on the account.
import dns from 'node:dns';
import { KlingAPI } from 'kling-api';
import { answer } from './answer.mjs';

// It fetches no file from an address of this machine, so the emulator has a name, known to this process alone.
const look = dns.lookup;
dns.lookup = (name, options, callback) => look(name === 'kling.example' ? '127.0.0.1' : name, options, callback);

const QUERIES = {
  textToVideo: 'queryTextToVideoTask',
  imageToVideo: 'queryImageToVideoTask',
  omniVideo: 'queryOmniVideoTask',
};

await answer(async ({ url, accessKey, secretKey, family, call, out }) => {
  const api = new KlingAPI({ baseUrl: url, accessKey, secretKey });
  if (family === 'account') return api.getAccountInfo(call.start, call.end);
  const created = await api[family](call);
  const wait = { interval: 20, showSpinner: false };
  const result = await api.waitForVideoResult(created.data.task_id, api[QUERIES[family]].bind(api), wait);
  const files = await api.saveVideoResult(result, out, 'made');
  return { created, result, files };
});
