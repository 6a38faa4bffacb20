// Google's own JavaScript client: starts a job, polls it and fetches its files.
import { writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { OAuth2Client } from 'google-auth-library';
import { answer } from './answer.mjs';

const PACKAGES = { 2: '@google/genai-2', 3: '@google/genai' };
const INTERVAL_MS = 20;

function settings({ door, url, key, version }) {
  if (door === 'gemini') return { apiKey: key, httpOptions: { baseUrl: `${url}/gemini` } };
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: key });
  return {
    vertexai: true,
    project: 'demo',
    location: 'us-central1',
    googleAuthOptions: { authClient },
    httpOptions: { baseUrl: `${url}/vertex`, apiVersion: version },
  };
}

await answer(async question => {
  const { GoogleGenAI } = await import(PACKAGES[question.sdk]);
  const client = new GoogleGenAI(settings(question));
  let operation = await client.models.generateVideos(question.call);
  const begun = operation.done ?? null;
  while (!operation.done) {
    await setTimeout(INTERVAL_MS);
    operation = await client.operations.getVideosOperation({ operation });
  }
  const { generatedVideos = [], ...filtered } = operation.response ?? {};
  const links = generatedVideos.map(({ video }) => video.uri ?? null);
  for (const [place, file] of generatedVideos.entries()) {
    if (links[place]?.startsWith('gs://')) continue; // a bucket is not for this client to read
    await client.files.download({ file, downloadPath: `${question.out}/${place}.mp4` });
  }
  return { begun, links, filtered, failed: operation.error ?? null };
});
