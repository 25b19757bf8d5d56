/** Opens the backend with so many threads, and does the job on it. */
/* global URL */
import { openBackend } from '../../../src/api/training.ts'
import { job } from './job.ts'

const build = new URL('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm', import.meta.url)

export const answer = async ({ threads, address = build }) => {
  const opened = await openBackend('wasm', { build: address, ...(threads === undefined ? {} : { threads }) })()
  if (opened._tag === 'Left') return { error: opened.left }
  const { description, whyOneThread } = opened.right
  return { description, whyOneThread, ...(await job(opened.right)) }
}
