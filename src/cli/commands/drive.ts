import { createInterface } from 'node:readline'
import { Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import { decodeRequest } from '../drive/request.ts'
import { answer, type Session } from '../drive/session.ts'
import { toJson } from '../../report/json.ts'
import { done, type Outcome } from '../outcome.ts'
import type { RunCommand } from '../run-command.ts'
import type { Terminal } from '../terminal.ts'

const protocol = `
FOLDER holds model.onnx, the dense network. Every line on stdin is a request, every line on stdout the answer to one; the end
of stdin ends the process. Tensors go through files of FOLDER.

  {"request":"start","method":{"name":"chase","density":0.2,"channels":0.4},"steps":1000,"stepsPerEpoch":100,"seed":1}
      method is that of a recipe (see chasec train --help). Writes masks.safetensors, booleans. The answer names the
      tensors that carry masks, and in next the first step after which to ask for an update and whether gradients are
      looked at then. masked tells what becomes of masked weights: they are zeroed, or trained on, and then multiplied by
      multipliers[i] in the i-th step from here (the last one holds on); maskedDecay times the weight goes to their
      gradients. Where next.skips is true, the optimiser leaves out that step: its gradients are for the update alone.

  {"request":"update","step":40}
      Reads weights.safetensors, float32, as step 40 left them, and where asked for gradients.safetensors, of the loss by
      every weight, masked ones included. Writes masks.safetensors, and carry.safetensors: what to multiply weights and
      momenta by, 0 for those that are masked or start anew. The answer has the event (density, pruned, grown, removed
      channels) and next.

  {"request":"save","step":45}
      Writes state.safetensors; start with "resume": true goes on from it.

A model whose exporter renamed or moved weights is told of them by "tensors": [{"name":…,"shape":[…],"trained":true}, …] in
start. Then it is exported with every element of these, counted one after the other, replaced by its number: element p is the
float32 of bits 0x00800000 + p. Files have the names and shapes of the list.

A request that cannot be done is answered by {"error": …}; the next one may be another.`

export const driveCommand = (run: RunCommand): Command =>
  new Command('drive')
    .description("Decides the masks of a training loop that runs in another program; Python's module chasec is one.")
    .argument('<folder>', 'folder with model.onnx, for the files that go back and forth')
    .addHelpText('after', protocol)
    .action((folder: string) => run({}, (terminal) => drive(terminal, folder)))

const drive = async (terminal: Terminal, folder: string): Promise<E.Either<Failure, Outcome>> => {
  let session: Session | undefined
  let [requests, failures] = [0, 0]
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.trim() === '') continue
    requests += 1
    const request = decodeRequest(line)
    const answered = E.isLeft(request) ? request : await answer(folder, session, request.right)
    if (E.isRight(answered)) session = answered.right.session
    else failures += 1
    terminal.print(toJson(E.isLeft(answered) ? { error: answered.left } : answered.right.answer, 0))
  }
  return E.right(done(JSON.stringify({ answer: 'end', requests, failures }), undefined))
}
