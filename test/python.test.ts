/** The tests of the Python module, where there is a Python that has what they need. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const python = process.env['PYTHON'] ?? 'python3'

const run = (args: ReadonlyArray<string>) => spawnSync(python, args, { cwd: root, encoding: 'utf8' })

const missing = ['torch', 'onnx', 'onnxruntime', 'onnxscript', 'pytest'].filter(
  (module) =>
    run(['-c', `import importlib.util, sys; sys.exit(importlib.util.find_spec('${module}') is None)`]).status !== 0,
)
const lacking = missing.length === 0 ? '' : ` (skipped: ${python} has no ${missing.join(', ')}; PYTHON names another)`

describe('python', () => {
  it.skipIf(missing.length > 0)(`compiles and trains models of PyTorch${lacking}`, () => {
    const { status, stdout, stderr } = run(['-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'python/tests'])
    const said = `${stdout}${stderr}`.slice(-8000)
    expect(said).toMatch(/ passed/)
    expect(status, said).toBe(0)
  })
})
