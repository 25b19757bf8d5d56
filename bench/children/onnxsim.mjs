/** One simplification by npm onnxsim: node onnxsim.mjs MODEL OUT. */
import { readFile, writeFile } from 'node:fs/promises'
import process from 'node:process'
import { simplify } from 'onnxsim'

const [model, out] = process.argv.slice(2)
const { model: bytes } = await simplify(await readFile(model))
await writeFile(out, bytes)
process.exit(0)
