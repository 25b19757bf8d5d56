/** Where a model comes from: files, or an example. */
import type { VNode } from 'preact'
import { type Example, examples } from './examples.ts'
import type { InputFile } from './messages.ts'

export const Start = ({
  onFiles,
  onExample,
  isOpen,
}: {
  readonly onFiles: (files: ReadonlyArray<InputFile>) => void
  readonly onExample: (example: Example) => void
  readonly isOpen: boolean
}): VNode => (
  <section class="start" aria-label="Open a model">
    <label class={isOpen ? 'drop small' : 'drop'}>
      <strong>{isOpen ? 'Drop another model, or masks for this one' : 'Drop a model here'}</strong>
      <span class="kinds">
        ONNX or TensorFlow.js, and masks if there are any: safetensors, npz or a PyTorch checkpoint. Without, the zeros
        in its weights count as masked.
      </span>
      <span class="button">Choose files</span>
      <input
        type="file"
        multiple
        class="unseen"
        onChange={({ currentTarget }) => {
          onFiles([...(currentTarget.files ?? [])].map((file) => ({ name: file.name, blob: file })))
          // The same file again is a change, too.
          currentTarget.value = ''
        }}
      />
    </label>
    <details open={!isOpen}>
      <summary>Or begin with an example</summary>
      <ul class="examples">
        {examples.map((example) => (
          <li key={example.id}>
            <button type="button" onClick={() => onExample(example)} aria-describedby={`about-${example.id}`}>
              {example.title}
            </button>
            <p class="soft" id={`about-${example.id}`}>
              {example.about}
            </p>
          </li>
        ))}
      </ul>
    </details>
  </section>
)
