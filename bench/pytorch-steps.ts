/** Training steps of ResNet-20 in eager PyTorch, one at a time, to be taken in turn with ours. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { python } from './python.ts'
import type { StepTime } from './timed-training.ts'

export interface PytorchSteps {
  readonly version: string
  /** Trains on the same batch again. */
  readonly step: () => Promise<StepTime>
  readonly end: () => void
}

const numberOf = (value: unknown, name: string): number => {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  if (typeof found !== 'number') throw new Error(`PyTorch did not say ${name}`)
  return found
}

/** Starts Python, which needs torch; rejects where it ends. */
export const startPytorch = async (batch: number, threads: number): Promise<PytorchSteps> => {
  const script = fileURLToPath(new URL('children/train_step.py', import.meta.url))
  const child = spawn(python, [script, String(batch), String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const answer = async (): Promise<unknown> => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`${python} ended; it needs torch. PYTHON=path names another Python.`)
    return JSON.parse(line.value)
  }
  const hello = await answer()
  return {
    version: String(typeof hello === 'object' && hello !== null ? Reflect.get(hello, 'version') : ''),
    step: async () => {
      child.stdin.write('step\n')
      const times = await answer()
      return { wall: numberOf(times, 'wall'), cpu: numberOf(times, 'cpu') }
    },
    end: () => void child.stdin.end(),
  }
}
