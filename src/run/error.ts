import { type Failure, failure } from '../ir/failure.ts'

/** What a user can cause by running a model: a file that is missing, a model that ONNX Runtime refuses, a crash. */
export type RunError = Failure<'RunError'>

/** A {@link RunError}: what is at fault, what was expected of it, what happened instead, what to do. */
export const runError = (subject: string, expected: string, found: string, help: string): RunError =>
  failure('RunError', subject, expected, found, help)

/** Colours of a terminal. */
const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

/** ONNX Runtime's message on one line, without the source location it starts with. */
export const cleanMessage = (message: string): string => {
  const around = message.replace(colours, '').replace(/\s+/g, ' ').trim()
  // What onnxruntime-web says around the message.
  const line = around.replace(/^.*ERROR_CODE: \d+, ERROR_MESSAGE: /, '')
  const checked = /\/onnxruntime_src\/\S+\.(?:cc|h):\d+ .* was false\. (.+)$/.exec(line)
  const text = (checked?.[1] ?? line.replace(/\/onnxruntime_src\/\S+\.(?:cc|h):\d+ /g, '')).replace(/\.$/, '')
  return text.length > 600 ? `${text.slice(0, 600)}…` : text
}
