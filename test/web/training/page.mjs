/** What the page of the test offers: the job here, or in a worker. */
/* global URL, Worker */
import { answer } from './answer.mjs'

globalThis.answer = answer

globalThis.answerInWorker = (request) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }) => {
      worker.terminate()
      resolve(data)
    }
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.postMessage(request)
  })
