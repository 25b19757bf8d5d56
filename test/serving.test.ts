/** A package behind Ray Serve, as examples/ray_serve.py has it, where Python has Ray: what it answers is what ONNX Runtime computes. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chasec } from './cli/chasec.ts'
import { net, netMasks, writeMasks, writeModel } from './cli/nets.ts'

const python = process.env['PYTHON'] ?? 'python3'
const missing = ['ray.serve', 'onnxruntime', 'numpy'].filter(
  (name) => spawnSync(python, ['-c', `import ${name}`]).status !== 0,
)
const lacking = missing.length === 0 ? '' : ` (skipped: ${python} has no ${missing.join(', ')}; PYTHON names another)`

const folder = mkdtempSync(join(tmpdir(), 'chasec-serving-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Four requests at once, their answers beside the model's own for the batch of them; and a request without its input. */
const client = `
import json, socket, sys, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor
import numpy as np, onnxruntime, ray
from ray import serve
sys.path.insert(0, 'examples')
import ray_serve
with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    port = probe.getsockname()[1]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={'host': '127.0.0.1', 'port': port})
serve.run(ray_serve.app({'package': sys.argv[1]}))
def ask(body):
    request = urllib.request.Request(f'http://127.0.0.1:{port}/', json.dumps(body).encode())
    try:
        return 200, json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
session = onnxruntime.InferenceSession(sys.argv[1] + '/model.onnx')
(given,) = session.get_inputs()
shape = [4] + [d if isinstance(d, int) else 1 for d in given.shape[1:]]
x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(lambda one: ask({'inputs': {given.name: one.tolist()}}), x))
(name,) = [one.name for one in session.get_outputs()]
(expected,) = session.run([name], {given.name: x})
found = np.array([answer['outputs'][name] for _, answer in answers])
print('answers ' + json.dumps({
    'codes': [code for code, _ in answers],
    'difference': float(np.max(np.abs(found - expected)) / np.max(np.abs(expected))),
    'without': ask({'inputs': {}}),
}))
serve.shutdown()
ray.shutdown()`

beforeAll(() => {
  writeModel(join(folder, 'net.onnx'), net())
  writeMasks(join(folder, 'masks.safetensors'), netMasks())
  const compiled = chasec(['compile', 'net.onnx', '--masks', 'masks.safetensors', '-o', 'out'], { cwd: folder })
  if (compiled.code !== 0) throw new Error(compiled.stderr)
})

test.skipIf(missing.length > 0)(`Ray Serve answers as the model does${lacking}`, () => {
  const { status, stdout, stderr } = spawnSync(python, ['-c', client, join(folder, 'out')], {
    encoding: 'utf8',
    env: { ...process.env, RAY_USAGE_STATS_ENABLED: '0' },
  })
  if (status !== 0) throw new Error(stderr)
  const { codes, difference, without } = JSON.parse(/^answers (.*)$/m.exec(stdout)?.[1] ?? '{}')
  expect(codes).toEqual([200, 200, 200, 200])
  expect(difference).toBeLessThan(1e-6)
  expect(without).toEqual([400, { error: 'inputs x are missing' }])
})
