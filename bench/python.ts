/** Python for benchmarks whose models are exported: which one, what it lacks, and whether what it made is still what it makes. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const runFile = promisify(execFile)
export const python = process.env['PYTHON'] ?? 'python3'

export interface Exporter {
  /** Makes `NAME.json` and files beside it: `python SCRIPT FOLDER NAME`. */
  readonly script: string
  /** Python modules that it imports: those of packages, and those of the zoo's exporters. */
  readonly modules: ReadonlyArray<string>
  readonly uses: ReadonlyArray<string>
}

const zoo = new URL('../test/models/zoo/export/', import.meta.url)

/** A digest of what exports the models: those that another version of it made are made again. */
const digestOf = async ({ script, uses }: Exporter): Promise<string> => {
  const hash = createHash('sha256')
  for (const path of [script, ...uses.map((name) => new URL(`${name}.py`, zoo))]) hash.update(await readFile(path))
  return hash.digest('hex')
}

/** The models that are not in the folder yet, or were made by another version of the exporter. */
const missingModels = async (
  exporter: Exporter,
  models: ReadonlyArray<string>,
  folder: string,
): Promise<ReadonlyArray<string>> => {
  const digest = await digestOf(exporter)
  const there = await Promise.all(
    models.map(async (name) => {
      const path = join(folder, `${name}.digest`)
      return existsSync(path) && (await readFile(path, 'utf8')) === digest
    }),
  )
  return models.filter((_, i) => there[i] !== true)
}

/** Why models cannot be made here: a line for people; undefined where they can, or are there already. */
export const whyNotExported = async (
  exporter: Exporter,
  models: ReadonlyArray<string>,
  folder: string,
): Promise<string | undefined> => {
  const missing = await missingModels(exporter, models, folder)
  if (missing.length === 0) return undefined
  const wanted = JSON.stringify(exporter.modules)
  const code = `import importlib.util as u; print(*(m for m in ${wanted} if u.find_spec(m) is None))`
  const why = await runFile(python, ['-c', code]).then(
    ({ stdout }) => (stdout.trim() === '' ? undefined : `it lacks ${stdout.trim().replaceAll(' ', ', ')}`),
    (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0],
  )
  if (why === undefined) return undefined
  return `${missing.join(', ')}: not exported yet, and ${python} cannot: ${why}. PYTHON=path names another Python.`
}

/** Makes the models that are missing. */
export const exportMissing = async (
  exporter: Exporter,
  models: ReadonlyArray<string>,
  folder: string,
): Promise<void> => {
  const digest = await digestOf(exporter)
  await mkdir(folder, { recursive: true })
  for (const name of await missingModels(exporter, models, folder)) {
    process.stderr.write(`${basename(exporter.script)}: ${name}\n`)
    await runFile(python, [exporter.script, resolve(folder), name], { maxBuffer: 1 << 26 })
    await writeFile(join(folder, `${name}.digest`), digest)
  }
}
