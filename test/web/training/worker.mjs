/** The job in a worker. */
import { answer } from './answer.mjs'

globalThis.onmessage = async ({ data }) => globalThis.postMessage(await answer(data))
