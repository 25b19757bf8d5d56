/**
 * One simplification by npm onnxsim in a fresh process: node onnxsim.mjs MODEL none FOLDER. Prints times in milliseconds
 * and the peak memory in bytes as JSON. Loading the package's JavaScript is not timed; it compiles its WebAssembly on use.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { performance } from 'node:perf_hooks'
import { simplify } from 'onnxsim'

const [model, , folder] = process.argv.slice(2)

// It prints a table of operators, which is no part of the answer.
const print = process.stdout.write.bind(process.stdout)
process.stdout.write = () => true

const start = performance.now()
const bytes = await readFile(model)
const readAt = performance.now()
const simplified = await simplify(bytes)
const simplifiedAt = performance.now()
await mkdir(folder, { recursive: true })
await writeFile(join(folder, 'model.onnx'), simplified.model)
const writtenAt = performance.now()

print(
  JSON.stringify({
    milliseconds: {
      read: readAt - start,
      compile: simplifiedAt - readAt,
      write: writtenAt - simplifiedAt,
      total: writtenAt - start,
    },
    peakBytes: process.resourceUsage().maxRSS * 1024,
    outputBytes: simplified.model.byteLength,
  }),
  () => process.exit(0),
)
