/** The models of Debian's `libonnx-testdata`, where that is installed. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const root = '/usr/share/libonnx-testdata/data'

export const missingDebian = existsSync(root) ? undefined : 'Debian package libonnx-testdata is not installed'

export interface TestModel {
  /** Path below the folder of the package. */
  readonly name: string
  readonly path: string
  readonly folder: string
}

/** All models, in the order of their names. */
export const debianModels = (): ReadonlyArray<TestModel> => {
  if (missingDebian !== undefined) return []
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .map((name) => ({ name, path: join(root, name), folder: join(root, name, '..') }))
}
