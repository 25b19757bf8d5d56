/**
 * `npm run golden`: compares every case with its files. `-- --accept` rewrites them, `-- --filter TEXT` takes the cases
 * whose name contains TEXT, `-- --models` writes the models of `cases.ts` anew first.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { lower } from '../src/export/lower.ts'
import { orThrow } from '../test/fuzz/differential.ts'
import { folderOf, readCase, runCase } from './case.ts'
import { cases } from './cases.ts'

const { values } = parseArgs({
  options: {
    accept: { type: 'boolean', default: false },
    models: { type: 'boolean', default: false },
    filter: { type: 'string', default: '' },
  },
})
let different = 0
for (const [name, build] of Object.entries(cases)) {
  if (!name.includes(values.filter)) continue
  const folder = folderOf(name)
  const model = new URL('model.onnx', folder)
  mkdirSync(folder, { recursive: true })
  if (values.models || !existsSync(model)) writeFileSync(model, orThrow(lower(build())).model)
  for (const [file, text] of Object.entries(runCase(readCase(name)).files)) {
    const path = new URL(file, folder)
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
    if (values.accept) writeFileSync(path, text)
    else different += 1
    console.log(`${values.accept ? 'accepted' : 'differs'}: golden/${name}/${file}`)
  }
}
if (different > 0) {
  console.log('See the difference with git diff after: npm run golden -- --accept')
  process.exitCode = 1
}
