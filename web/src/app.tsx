/** The page: a model in, a look at it, a budget, a smaller model out. */
import type { VNode } from 'preact'
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Failure, failure } from '../../src/ir/failure.ts'
import { printable } from '../../src/ir/printable.ts'
import type { Target } from '../../src/passes/target.ts'
import { Result } from '../../src/report/view/result.tsx'
import { formatBytes } from '../../src/report/units.ts'
import { type Example, fetchExample } from './examples.ts'
import { inputOf } from './files.ts'
import { Look } from './look.tsx'
import type {
  CompileReply,
  CompileRequest,
  Input,
  InputFile,
  LookReply,
  LookRequest,
  Overview,
  Packaged,
  Preview,
  Selection,
} from './messages.ts'
import { Start } from './start.tsx'
import { useWorker } from './use-job.ts'

const startLooking = (): Worker => new Worker(new URL('./look-worker.ts', import.meta.url), { type: 'module' })

const startCompiling = (): Worker => new Worker(new URL('./compile-worker.ts', import.meta.url), { type: 'module' })

const initial: Selection = { channels: 0, score: 'umm', scope: 'block', floor: 0.2 }

/** What the page is doing: in words, and how far, where that is known. */
interface Doing {
  readonly text: string
  readonly fraction?: number
}

/** A package and what it was made with. */
interface Done {
  readonly packaged: Packaged
  readonly selection: Selection
  readonly target: Target
}

const crashed = (message: string): Failure => {
  const help = 'The model may need more memory than this browser gives. The command line has more.'
  return failure('Crashed', 'the worker', 'to go on', message, help)
}

export const App = (): VNode => {
  const [input, setInput] = useState<Input | undefined>()
  const [overview, setOverview] = useState<Overview | undefined>()
  const [preview, setPreview] = useState<Preview | undefined>()
  const [selection, setSelection] = useState(initial)
  const [target, setTarget] = useState<Target>('cpu')
  const [looking, setLooking] = useState<Doing | undefined>()
  const [compiling, setCompiling] = useState<Doing | undefined>()
  const [done, setDone] = useState<Done | undefined>()
  const [error, setError] = useState<Failure | undefined>()
  const asked = useRef({ selection, target })

  const fail = useCallback((failure: Failure) => {
    setError(failure)
    setLooking(undefined)
    setCompiling(undefined)
  }, [])
  const look = useWorker<LookRequest, LookReply>(
    startLooking,
    (reply) => {
      switch (reply.kind) {
        case 'progress':
          return setLooking({ text: reply.text })
        case 'overview':
          setLooking(undefined)
          return setOverview(reply.overview)
        case 'preview':
          return setPreview(reply.preview)
        case 'failed':
          return fail(reply.error)
      }
    },
    (message) => fail(crashed(message)),
  )
  const compile = useWorker<CompileRequest, CompileReply>(
    startCompiling,
    (reply) => {
      switch (reply.kind) {
        case 'progress':
          return setCompiling(reply)
        case 'packaged':
          setCompiling(undefined)
          return setDone({ packaged: reply.packaged, ...asked.current })
        case 'failed':
          return fail(reply.error)
      }
    },
    (message) => fail(crashed(message)),
  )

  const open = useCallback(
    (next: Input) => {
      compile.end()
      setInput(next)
      setOverview(undefined)
      setPreview(undefined)
      setSelection((last) => ({ ...last, channels: 0 }))
      setCompiling(undefined)
      setDone(undefined)
      setError(undefined)
      setLooking({ text: `Reading ${next.model.name}` })
      look.begin({ kind: 'open', input: next })
    },
    [compile, look],
  )
  const take = useCallback(
    (files: ReadonlyArray<InputFile>) => {
      const next = inputOf(files, input)
      if (next !== undefined) return open(next)
      if (files.length > 0) {
        const help = 'Open an ONNX file first, or together with the masks.'
        const names = files.map(({ name }) => name).join(', ')
        fail(failure('UsageError', names, 'a model, with or without masks', 'no model', help))
      }
    },
    [fail, input, open],
  )
  const openExample = useCallback(
    (example: Example) => {
      setError(undefined)
      setLooking({ text: `Loading ${example.file}` })
      fetchExample(example).then(
        (model) => open({ model, beside: [] }),
        (thrown: unknown) => {
          const help = 'Reload the page when there is a network.'
          fail(failure('ReadError', example.file, 'an example that comes with this page', String(thrown), help))
        },
      )
    },
    [fail, open],
  )
  useDrop(take)

  const choose = (next: Selection): void => {
    setSelection(next)
    setError(undefined)
    if (next.channels === 0) setPreview(undefined)
    else look.ask({ kind: 'select', selection: next })
  }
  const make = (): void => {
    if (input === undefined) return
    asked.current = { selection, target }
    setError(undefined)
    setDone(undefined)
    setCompiling({ text: 'Starting' })
    compile.begin({ kind: 'compile', input, selection, target })
  }
  const stop = (): void => {
    compile.end()
    setCompiling(undefined)
  }

  return (
    <main>
      <header>
        <h1>chasec</h1>
        <p class="lead">
          Makes a pruned neural network small: what is masked goes, and what is left computes the same. In this browser;
          nothing is uploaded.
        </p>
      </header>
      <Start onFiles={take} onExample={openExample} isOpen={input !== undefined} />
      {error !== undefined && <Problem error={error} />}
      <div role="status" class="status">
        {looking !== undefined && <Progress doing={looking} />}
      </div>
      {input !== undefined && overview !== undefined && (
        <Look
          input={input}
          overview={overview}
          preview={preview}
          selection={selection}
          target={target}
          onSelection={choose}
          onTarget={setTarget}
          showsLayers={done === undefined}
        >
          <div class="go">
            {compiling === undefined ? (
              <button type="button" class="primary" onClick={make}>
                {selection.channels === 0 ? 'Compile' : `Mask ${percent(selection.channels)} and compile`}
              </button>
            ) : (
              <button type="button" onClick={stop}>
                Stop
              </button>
            )}
            <div role="status" class="status">
              {compiling !== undefined && <Progress doing={compiling} />}
            </div>
          </div>
        </Look>
      )}
      {done !== undefined && (
        <Outcome
          done={done}
          name={input?.model.name ?? 'model.onnx'}
          isOld={done.selection !== selection || done.target !== target}
          isBusy={compiling !== undefined}
          onMeasure={() => {
            setCompiling({ text: 'Starting to measure' })
            compile.ask({ kind: 'measure' })
          }}
        />
      )}
      <footer class="soft">
        <p>
          chasec compiles ONNX models with pruning masks. The same compiler runs on the command line and in Node; what
          it makes is the same, byte for byte.
        </p>
      </footer>
    </main>
  )
}

const percent = (fraction: number): string => `${Math.round(100 * fraction)} %`

const Progress = ({ doing: { text, fraction } }: { readonly doing: Doing }): VNode => (
  <>
    <progress aria-label="Progress" {...(fraction === undefined ? {} : { value: fraction })} />
    <span>{printable(text)}</span>
  </>
)

const Problem = ({ error: { subject, expected, found, help } }: { readonly error: Failure }): VNode => (
  <div class="verdict bad" role="alert">
    <p class="happened">{printable(subject)}</p>
    <p>{printable(`Expected ${expected}, found ${found}.`)}</p>
    <p>{printable(help)}</p>
  </div>
)

/** Files that are dropped anywhere on the page. */
const useDrop = (take: (files: ReadonlyArray<InputFile>) => void): void => {
  useEffect(() => {
    const over = (event: DragEvent): void => event.preventDefault()
    const drop = (event: DragEvent): void => {
      event.preventDefault()
      take([...(event.dataTransfer?.files ?? [])].map((file) => ({ name: file.name, blob: file })))
    }
    addEventListener('dragover', over)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragover', over)
      removeEventListener('drop', drop)
    }
  }, [take])
}

/** What came out: the package to save, its speed when it is asked for, and the report. */
const Outcome = ({
  done: { packaged },
  name,
  isOld,
  isBusy,
  onMeasure,
}: {
  readonly done: Done
  readonly name: string
  readonly isOld: boolean
  readonly isBusy: boolean
  readonly onMeasure: () => void
}): VNode => {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [packaged])
  const stem = name.replace(/\.onnx$/i, '')
  const size = packaged.files.find((file) => file.name === 'model.onnx')?.bytes ?? 0
  return (
    <section class="outcome" aria-labelledby="outcome">
      <h2 id="outcome" ref={heading} tabIndex={-1}>
        The compiled model
      </h2>
      {isOld && <p class="doubt">Made with other settings than those above.</p>}
      <div class="go">
        <Save bytes={packaged.zip} name={`${stem}-compiled.zip`} isPrimary>
          Save the package ({formatBytes(packaged.zip.length)} zip, model {formatBytes(size)})
        </Save>
        {packaged.masks !== undefined && (
          <Save bytes={packaged.masks} name="masks.safetensors">
            Save the masks
          </Save>
        )}
        <button type="button" onClick={onMeasure} disabled={isBusy}>
          {packaged.results.measured === undefined ? 'Measure the speed' : 'Measure again'}
        </button>
      </div>
      <Result results={packaged.results} />
    </section>
  )
}

/** A link that saves bytes as a file. */
const Save = ({
  bytes,
  name,
  isPrimary = false,
  children,
}: {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly name: string
  readonly isPrimary?: boolean
  readonly children: VNode | string | ReadonlyArray<VNode | string>
}): VNode => {
  const url = useMemo(() => URL.createObjectURL(new Blob([bytes])), [bytes])
  useEffect(() => () => URL.revokeObjectURL(url), [url])
  return (
    <a class={isPrimary ? 'button primary' : 'button'} href={url} download={name}>
      {children}
    </a>
  )
}
