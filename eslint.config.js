// @ts-check
import js from '@eslint/js'
import { createNodeResolver, importX } from 'eslint-plugin-import-x'
import ts from 'typescript-eslint'

/** Which folders of src/ a folder may import, the way data flows. Everything else is an error. */
const layers = {
  ir: [],
  disk: ['ir'],
  onnx: ['ir'],
  masks: ['ir', 'onnx'],
  read: ['ir', 'masks', 'onnx'],
  cost: ['ir'],
  passes: ['ir', 'masks', 'cost'],
  models: ['ir'],
  train: ['ir', 'disk', 'masks', 'passes', 'models'],
  export: ['ir', 'disk', 'onnx'],
  run: ['ir', 'disk'],
  report: ['ir', 'masks', 'passes', 'run', 'train'],
  package: ['ir', 'disk', 'onnx', 'masks', 'read', 'cost', 'passes', 'train', 'export', 'run', 'report'],
  api: ['ir', 'disk', 'masks', 'read', 'cost', 'passes', 'models', 'train', 'export', 'run', 'report', 'package'],
}

/** Folders that also run in a browser: no Node API. `read/file.ts` and the writers of `export` are not among them. */
const portable = ['ir', 'onnx', 'masks', 'cost', 'passes', 'models', 'report']

const folders = [...Object.keys(layers), 'cli']

const layerRules = Object.entries(layers).map(([folder, allowed]) => ({
  files: [`src/${folder}/**/*.{ts,tsx}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: `^(\\.\\./)+(${folders.filter((f) => f !== folder && !allowed.includes(f)).join('|')})/`,
            message: `src/${folder} may import only ${allowed.join(', ') || 'itself'}.`,
          },
          { regex: '(^|/)terminal/', message: 'Tables for terminals are for src/cli: others load them in vain.' },
          { regex: '^fp-ts/(?!lib/)', message: "Node's ES modules load fp-ts/lib/NAME.js only." },
          ...(portable.includes(folder)
            ? [{ regex: '^node:|^onnxruntime-node$|^@tensorflow/', message: `src/${folder} runs without Node.` }]
            : []),
        ],
      },
    ],
  },
}))

const spreadInReduce = {
  selector:
    'CallExpression[callee.property.name=/^reduce(Right)?$/] ArrowFunctionExpression > ArrayExpression > SpreadElement',
  message: 'A spread in a reduce copies the list at every step; push to a local array.',
}

export default ts.config(
  {
    ignores: [
      'dist',
      'site',
      'web/dist',
      'node_modules',
      'coverage',
      '.logs',
      '.cache',
      '.dist-*',
      'src/onnx/onnx_pb.ts',
      'src/train/backend/wasm/assembly',
      'test/models',
    ],
  },
  js.configs.recommended,
  ...ts.configs.recommended,
  {
    rules: {
      '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'never' }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      'no-restricted-syntax': ['error', spreadInReduce],
    },
  },
  {
    // Modules that import each other are run in an order that nobody chose. Types may refer to each other.
    files: ['src/**/*.{ts,tsx}'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/extensions': ['.ts', '.tsx'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.tsx'] })],
    },
    rules: { 'import-x/no-cycle': ['error', { ignoreExternal: true }] },
  },
  {
    files: ['src/*.ts'],
    rules: { 'no-restricted-syntax': ['error', { selector: 'Program', message: 'Every file of src has a folder.' }] },
  },
  {
    files: ['src/**/*.{ts,tsx}'],
    // The worker is the main program of a process of its own.
    ignores: ['src/run/worker.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        spreadInReduce,
        { selector: "Program > VariableDeclaration[kind='let']", message: 'No mutable state at module level.' },
      ],
    },
  },
  {
    files: ['src/**/*.{ts,tsx}'],
    // The child process is given the environment of its parent; TensorFlow reads there how many threads it takes.
    ignores: ['src/cli/**', 'src/run/worker-process.ts', 'src/train/backend/loaders/tfjs-node.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env' },
        { object: 'process', property: 'argv' },
      ],
    },
  },
  // TypeScript cannot follow from an operator's name to its attributes: the assertions for that are all in two files.
  {
    files: ['src/ir/registry.ts', 'src/ir/make-node.ts', 'eslint.config.js'],
    rules: { '@typescript-eslint/consistent-type-assertions': 'off' },
  },
  ...layerRules,
)
