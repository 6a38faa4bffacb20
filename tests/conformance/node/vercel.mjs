// Vercel's AI SDK: one `experimental_generateVideo` on the Gemini API or on Vertex AI.
import { writeFile } from 'node:fs/promises';
import { OAuth2Client } from 'google-auth-library';
import { answer } from './answer.mjs';

const PACKAGES = {
  6: { ai: 'ai-6', gemini: '@ai-sdk/google-3', vertex: '@ai-sdk/google-vertex-4' },
  7: { ai: 'ai', gemini: '@ai-sdk/google', vertex: '@ai-sdk/google-vertex' },
};
const INTERVAL_MS = 20;

async function provide({ sdk, door, url, key }) {
  if (door === 'gemini') {
    const { createGoogleGenerativeAI } = await import(PACKAGES[sdk].gemini);
    return createGoogleGenerativeAI({ baseURL: `${url}/gemini/v1beta`, apiKey: key });
  }
  const { createVertex } = await import(PACKAGES[sdk].vertex);
  const authClient = new OAuth2Client({
    clientId: 'client',
    clientSecret: 'secret',
    endpoints: { oauth2TokenUrl: `${url}/vertex/token` },
  });
  authClient.setCredentials({ refresh_token: key });
  const place = { project: 'demo', location: 'us-central1' };
  const baseURL = `${url}/vertex/v1/projects/demo/locations/us-central1/publishers/google`;
  return createVertex({ ...place, baseURL, googleAuthOptions: { authClient } });
}

// Its own way to fetch a file takes no address of this machine, and no `gs://`.
function fetcher({ url: emulator, key }) {
  return async ({ url }) => {
    const inBucket = url.protocol === 'gs:';
    const object = encodeURIComponent(url.pathname.slice(1));
    const link = inBucket ? `${emulator}/vertex/storage/v1/b/${url.host}/o/${object}?alt=media` : url;
    const reply = await fetch(link, inBucket ? { headers: { authorization: `Bearer ${key}` } } : {});
    if (!reply.ok) throw new Error(`${reply.status} for the file`);
    return { data: new Uint8Array(await reply.arrayBuffer()), mediaType: reply.headers.get('content-type') };
  };
}

await answer(async question => {
  const { sdk, door, model, prompt, call = {}, options = {}, ownDownload = false, out } = question;
  const { experimental_generateVideo: generateVideo } = await import(PACKAGES[sdk].ai);
  const provider = await provide(question);
  const { videos, providerMetadata } = await generateVideo({
    model: provider.video(model),
    prompt,
    maxRetries: 0,
    poll: { intervalMs: INTERVAL_MS }, // version 7; version 6 is told in the options of its provider
    providerOptions: { [door === 'gemini' ? 'google' : 'vertex']: { pollIntervalMs: INTERVAL_MS, ...options } },
    ...(ownDownload ? {} : { download: fetcher(question) }),
    ...call,
  });
  await Promise.all(videos.map((video, place) => writeFile(`${out}/${place}.mp4`, video.uint8Array)));
  return { types: videos.map(video => video.mediaType), metadata: providerMetadata };
});
