// @ts-check
// Makes dist: TypeScript to JavaScript, the programs of the command line bundled so that they start fast. What was there
// before is replaced at the end, as a whole.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
/** Beside `dist`, so that modules find what they import from both. */
const fresh = mkdtempSync(join(root, '.dist-'))

/** What is run, below `dist/cli`. */
const programs = ['main', 'doctor/backend-program', 'train/pulse-thread']

/**
 * What is bundled with them. fp-ts: its CommonJS modules, the only ones that Node loads, take half of the time in which
 * `chasec --help` answers. picocolors, a small file. string-width, with what it needs: see below.
 */
const bundled = ['fp-ts', 'picocolors', 'string-width', 'strip-ansi', 'ansi-regex', 'get-east-asian-width']

/**
 * string-width is made ready when text other than plain ASCII is first measured: its regular expressions and tables would
 * take a third of the time in which `chasec --help` answers.
 *
 * @type {import('esbuild').Plugin}
 */
const lazyStringWidth = {
  name: 'lazy-string-width',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^string-width$/ }, ({ kind }) =>
      kind === 'require-call' ? undefined : { path: 'string-width', namespace: 'lazy' },
    )
    onLoad({ filter: /^string-width$/, namespace: 'lazy' }, () => ({
      contents: `let width\nmodule.exports = (text) => (width ??= require('string-width').default)(text)`,
      resolveDir: root,
    }))
  },
}

const compileSources = () => {
  const tsc = join(modules, 'typescript', 'bin', 'tsc')
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh]
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const bundlePrograms = async () => {
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const packages = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
  const made = join(fresh, 'programs')
  await build({
    entryPoints: Object.fromEntries(programs.map((name) => [name, join(fresh, 'cli', `${name}.js`)])),
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    outdir: made,
    external: packages.filter((name) => !bundled.includes(name)),
    alias: { 'fp-ts/lib': 'fp-ts/es6' },
    plugins: [lazyStringWidth],
    legalComments: 'inline',
    logLevel: 'warning',
  })
  rmSync(join(fresh, 'cli'), { recursive: true })
  // Nothing else writes on terminals; `bundled` need not be installed for it.
  rmSync(join(fresh, 'report', 'terminal'), { recursive: true })
  renameSync(made, join(fresh, 'cli'))
  for (const name of bundled) {
    const license = readdirSync(join(modules, name)).find((file) => /^license/i.test(file))
    if (license === undefined) throw new Error(`${name} has no licence to go with it`)
    copyFileSync(join(modules, name, license), join(fresh, 'cli', `LICENSE.${name}`))
  }
}

/** Types of packages that need not be installed are no error where they are not: what is made of them is then of any type. */
const forgiveAbsence = () => {
  const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const names = Object.keys(peerDependencies).join('|')
  rewrite('.d.ts', (text) =>
    text.replaceAll(new RegExp(`^import .* from '(?:${names})';$`, 'gm'), '// @ts-ignore: need not be installed\n$&'),
  )
}

/** Bundlers take the ES modules of fp-ts, of which they leave out what is not used; see `imports` in package.json. */
const splitFpTs = () => {
  rewrite('.js', (text) => text.replaceAll(/ from 'fp-ts\/lib\/(\w+)\.js'/g, " from '#fp-ts/$1'"))
}

/**
 * @param {string} ending of the names of the files
 * @param {(text: string) => string} change
 */
const rewrite = (ending, change) => {
  for (const name of readdirSync(fresh, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith(ending)) continue
    const text = readFileSync(join(fresh, name), 'utf8')
    const changed = change(text)
    if (changed !== text) writeFileSync(join(fresh, name), changed)
  }
}

try {
  compileSources()
  await bundlePrograms()
  splitFpTs()
  forgiveAbsence()
  // A temporary folder is its owner's alone.
  chmodSync(fresh, 0o777 & ~process.umask())
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  renameSync(fresh, join(root, 'dist'))
} finally {
  rmSync(fresh, { recursive: true, force: true })
}
