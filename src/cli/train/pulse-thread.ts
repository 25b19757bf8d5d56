/** The thread that writes signs of life while the main one computes: training holds it for as long as a step takes. */
import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { isRecord } from '../../ir/record.ts'
import { dueLine, felt, type Sign, startPulse } from './pulse.ts'

const isSign = (x: unknown): x is Sign =>
  isRecord(x) && (x['kind'] === 'wrote' || (x['kind'] === 'doing' && typeof x['text'] === 'string'))

const numberIn = (key: string): number => {
  const data: unknown = workerData
  const value = isRecord(data) ? data[key] : undefined
  return typeof value === 'number' ? value : 0
}

/** A file descriptor, and milliseconds. */
const [file, silence, look] = [numberIn('file'), numberIn('silence'), numberIn('look')]
const state = { pulse: startPulse(performance.now()) }

parentPort?.on('message', (message: unknown) => {
  if (isSign(message)) state.pulse = felt(state.pulse, message, performance.now())
})

setInterval(() => {
  const now = performance.now()
  const line = dueLine(state.pulse, now, silence)
  if (line === undefined) return
  try {
    writeSync(file, `${line}\n`)
    state.pulse = felt(state.pulse, { kind: 'wrote' }, now)
  } catch {
    // A pipe that is full now, or that nobody reads any more: the next look tries again.
  }
}, look)
