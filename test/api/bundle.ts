/** What bundlers make of our entries. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

/** The source of an entry. */
export const entryOf = (name: string): string => fileURLToPath(new URL(`../../src/api/${name}.ts`, import.meta.url))

export interface Bundled {
  readonly code: string
  /** What it was made of. */
  readonly modules: ReadonlyArray<string>
}

/** What Vite makes of a module with this text, as a script that puts its exports into `chasec`; in `folder`. */
export const bundled = async (folder: string, text: string): Promise<Bundled> => {
  const input = join(folder, 'entry.ts')
  writeFileSync(input, text)
  const modules: string[] = []
  await build({
    root: folder,
    logLevel: 'error',
    configFile: false,
    // As the build has it: the ES modules of fp-ts.
    resolve: { alias: { 'fp-ts/lib': 'fp-ts/es6' } },
    build: {
      outDir: join(folder, 'out'),
      lib: { entry: input, formats: ['iife'], name: 'chasec', fileName: 'out' },
      minify: true,
    },
    plugins: [
      {
        name: 'modules',
        generateBundle(_, bundle) {
          for (const part of Object.values(bundle)) if (part.type === 'chunk') modules.push(...part.moduleIds)
        },
      },
    ],
  })
  const [name = ''] = readdirSync(join(folder, 'out'))
  return { code: readFileSync(join(folder, 'out', name), 'utf8'), modules }
}

const guide = readFileSync(new URL('../../docs/browser.md', import.meta.url), 'utf8')

/** The rows of the guide's table of what is imported from an entry: the names, and how many kB they may weigh. */
export const sizesOf = (entry: string): ReadonlyArray<readonly [names: string, limit: number]> => {
  const [, table = ''] = guide.split(`| imported from \`${entry}\` `)
  return [...(table.split('\n\n')[0] ?? '').matchAll(/^\| (`.*`) +\| ([\d.]+) +\|$/gm)].map(
    ([, names = '', limit]): readonly [string, number] => [names.replaceAll('`', ''), Number(limit)],
  )
}

/** Kilobytes of what importing these names from an entry comes to, minified and gzipped. */
export const sizeOf = async (folder: string, entry: string, names: string): Promise<number> => {
  const { code } = await bundled(folder, `export { ${names} } from ${JSON.stringify(entry)}`)
  const size = gzipSync(code, { level: 9 }).length / 1000
  console.info(`${names}: ${(code.length / 1000).toFixed(1)} kB minified, ${size.toFixed(1)} kB gzipped`)
  return size
}
