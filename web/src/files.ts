/** What dropped files are, by their names; what they hold is looked at by the worker. */
import type { Input, InputFile } from './messages.ts'

const masks = /\.(safetensors|npz|pt|pth|pkl|ckpt)$/i

const isModel = ({ name }: InputFile): boolean => /\.onnx$/i.test(name) || /^model\.json$/i.test(name)

/**
 * The model and masks among `files`, and everything else as what lies beside the model. Without a model, masks are those of the
 * model that is open; undefined where there is none either.
 */
export const inputOf = (files: ReadonlyArray<InputFile>, open: Input | undefined): Input | undefined => {
  const given = files.find(({ name }) => masks.test(name))
  const model = files.find(isModel) ?? files.find(({ name }) => !masks.test(name) && open === undefined)
  if (model === undefined) return open && given && { ...open, masks: given }
  const beside = files.filter((file) => file !== model && file !== given)
  return { model, beside, ...(given === undefined ? {} : { masks: given }) }
}
