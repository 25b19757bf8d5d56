/** The kernels that are committed are those of their sources. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('src/train/backend/wasm/built.ts is what npm run kernels makes', () => {
  const script = fileURLToPath(new URL('../../../scripts/kernels.js', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})
