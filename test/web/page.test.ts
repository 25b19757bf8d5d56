/**
 * The page in a real browser: a model is dropped, pruned, compiled, verified and saved, and what is saved is what the command line
 * writes. Nothing leaves the page.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { unzipSync } from 'fflate'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decode, encode } from '../../src/onnx/codec.ts'
import { ModelProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { chasec } from '../cli/chasec.ts'
import { fillWeights } from '../made-up-weights.ts'
import { net, netMasks, writeMasks, writeModel } from '../cli/nets.ts'
import {
  accessibilityOf,
  browserHere,
  looks,
  openPage,
  openSite,
  type Site,
  untilThere,
  withWebGpu,
} from './browser.ts'
import { mainThreadTasks } from './main-thread.ts'

if (browserHere === undefined) console.info('not tested: the page, since Chromium is not installed')

const folder = mkdtempSync(join(tmpdir(), 'chasec-page-'))
const at = (...path: ReadonlyArray<string>): string => join(folder, ...path)

/** Runs the command line where models run in WebAssembly, as on the page. */
const run = (...args: ReadonlyArray<string>): void => {
  const hook = new URL('without-native.mjs', import.meta.url).href
  const { code, stderr } = chasec(args, { cwd: folder, env: { NODE_OPTIONS: `--import=${hook}` } })
  expect(stderr).toBe('')
  expect(code).toBe(0)
}

/** Milliseconds of processor time that a page may be busy at a time; those who wait longer notice. */
const longestTask = 200

/** With all its weights, for images of 32 by 32, so that running it takes less time. */
const resNet50 = (): Uint8Array => {
  const file = fileURLToPath(new URL('../models/resnet50.onnx', import.meta.url))
  const model = decode(ModelProtoSchema, fillWeights(readFileSync(file), 'resnet50.onnx'))
  if (E.isLeft(model)) throw new Error('a model')
  const type = model.right.graph?.input[0]?.type?.value
  if (type?.case !== 'tensorType') throw new Error('an image')
  for (const dim of type.value.shape?.dim.slice(2) ?? []) dim.value = { case: 'dimValue', value: 32n }
  return encode(ModelProtoSchema, model.right)
}

describe.skipIf(browserHere === undefined)('the page', () => {
  let site: Site
  beforeAll(async () => {
    site = await openSite(browserHere ?? '')
    writeModel(at('net.onnx'), net())
    writeMasks(at('masks.safetensors'), netMasks())
  }, 0)
  afterAll(async () => {
    await site.close()
    rmSync(folder, { recursive: true })
  })

  /** Opens files, sets the budget, compiles, and gives the files of the package that is saved, and the masks. */
  const compileOn = async (files: ReadonlyArray<string>, percent: number) => {
    const { page, complaints, close } = await openPage(site)
    await page.locator('input[type=file]').setInputFiles(files.map((name) => at(name)))
    // By its name, which those who do not see it go by.
    await page.getByRole('slider', { name: /^Mask \d+ % of the channels$/ }).fill(String(percent))
    await page.getByRole('button', { name: /compile$/i }).click()
    await untilThere(page, 'heading', 'The compiled model')
    const save = async (name: RegExp): Promise<Uint8Array> => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name }).click()])
      return new Uint8Array(readFileSync(await download.path()))
    }
    const zip = await save(/Save the package/)
    const masks = percent === 0 ? undefined : await save(/Save the masks/)
    const text = await page.locator('.outcome .verdict').innerText()
    expect(complaints).toEqual([])
    await close()
    return { zip, files: unzipSync(zip), masks, text }
  }

  const expectSame = (found: Readonly<Record<string, Uint8Array>>, written: string): void => {
    expect(Object.keys(found).sort()).toEqual(readdirSync(at(written)).sort())
    for (const [name, bytes] of Object.entries(found)) {
      expect(Buffer.from(bytes).equals(readFileSync(at(written, name))), name).toBe(true)
    }
  }

  it('prunes, compiles, verifies and saves what the command line writes, byte for byte', async () => {
    const { files, masks, text } = await compileOn(['net.onnx'], 50)
    run('prune', 'net.onnx', '--channels', '0.5', '-o', 'chosen.safetensors')
    expect(masks && Buffer.from(masks).equals(readFileSync(at('chosen.safetensors')))).toBe(true)
    writeFileSync(at('pruned.onnx'), readFileSync(at('net.onnx')))
    // The page calls the masks that it makes masks.safetensors.
    const mine = readFileSync(at('masks.safetensors'))
    writeFileSync(at('masks.safetensors'), masks ?? new Uint8Array())
    run('compile', 'net.onnx', '--masks', 'masks.safetensors', '-o', 'selected')
    writeFileSync(at('masks.safetensors'), mine)
    expectSame(files, 'selected')
    expect(text).toMatch(/The compiled model computes what the masked model computes/)
  })

  it('takes masks that are dropped with the model, and gives the same zip again', async () => {
    const first = await compileOn(['net.onnx', 'masks.safetensors'], 0)
    run('compile', 'net.onnx', '--masks', 'masks.safetensors', '-o', 'given')
    expectSame(first.files, 'given')
    const second = await compileOn(['masks.safetensors', 'net.onnx'], 0)
    expect(Buffer.from(second.zip).equals(Buffer.from(first.zip))).toBe(true)
  })

  it('measures, and says so in the report', async () => {
    const { page, complaints, close } = await openPage(site)
    await page.locator('input[type=file]').setInputFiles(at('net.onnx'))
    await page.getByRole('button', { name: 'Compile' }).click()
    await page.getByRole('button', { name: 'Measure the speed' }).click()
    await untilThere(page, 'heading', 'Measured speed')
    expect(await page.getByText('onnxruntime-web').count()).toBeGreaterThan(0)
    expect(complaints).toEqual([])
    await close()
  })

  it('measures on WebGPU too, each where it ran', async (context) => {
    const gpu = await withWebGpu(site, browserHere ?? '')
    const { page, complaints, close } = await openPage(gpu)
    const adapter = await page.evaluate('navigator.gpu?.requestAdapter().then((found) => found !== null) ?? false')
    if (adapter === true) {
      await page.locator('input[type=file]').setInputFiles(at('net.onnx'))
      await page.getByRole('button', { name: 'Compile' }).click()
      await page.getByRole('button', { name: 'Measure the speed' }).click()
      await untilThere(page, 'heading', 'Measured speed')
      expect(await page.getByRole('heading', { level: 3, name: / on (cpu|webgpu)$/ }).allInnerTexts()).toEqual([
        expect.stringMatching(/^onnxruntime-web .* \(WebAssembly\) on cpu$/),
        expect.stringMatching(/^onnxruntime-web .* \(WebGPU\) on webgpu$/),
      ])
      expect(complaints).toEqual([])
    } else console.info('not tested: WebGPU on the page, since Chromium finds no adapter')
    await close()
    await gpu.close()
    context.skip(adapter !== true, 'no adapter')
  })

  it('shows what a selection leaves while it compiles, and stops when it is told to', async () => {
    const { page, complaints, close } = await openPage(site)
    await page.getByRole('button', { name: 'MobileNet V2' }).click()
    await page.getByRole('slider').fill('30')
    await page.getByRole('button', { name: /compile$/i }).click()
    await page.getByRole('slider').fill('60')
    await page.getByText(/channels of those that can go are masked/).waitFor()
    const shown = async (): Promise<string> => (await page.locator('.card').first().innerText()).replaceAll('\n', ' ')
    const sixty = await shown()
    await page.getByRole('slider').fill('10')
    await expect.poll(shown, { timeout: 0 }).not.toBe(sixty)
    // It still compiles: the worker for the slider is another one.
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('button', { name: 'Mask 10 % and compile' }).waitFor()
    expect(await page.getByRole('heading', { name: 'The compiled model' }).count()).toBe(0)
    expect(complaints).toEqual([])
    await close()
  })

  it('answers at all times while it reads, prunes and compiles a ResNet-50 of 100 MB', async () => {
    writeFileSync(at('resnet50.onnx'), resNet50())
    const longest: number[] = []
    // What else computes makes tasks seem longer, and none shorter: what takes long by itself does so every time.
    while (longest.length < 3 && !longest.some((time) => time < longestTask)) {
      const { page, complaints, close } = await openPage(site)
      const slider = page.getByRole('slider')
      const tasks = await mainThreadTasks(site.browser, page, async () => {
        await page.locator('input[type=file]').setInputFiles(at('resnet50.onnx'))
        await slider.waitFor()
        for (const share of [10, 20, 30, 40, 50, 60]) await slider.fill(String(share))
        await page.getByText(/channels of those that can go are masked/).waitFor()
        await page.getByRole('button', { name: /compile$/i }).click()
        await untilThere(page, 'heading', 'The compiled model')
      })
      expect(tasks.length).toBeGreaterThan(100)
      longest.push(Math.max(...tasks))
      // It would have been seen.
      const busy = 'let x = 1; for (let i = 0; i < 1e9; i++) x ^= x << 13; x'
      const seen = await mainThreadTasks(site.browser, page, async () => void (await page.evaluate(busy)))
      expect(Math.max(...seen)).toBeGreaterThan(longestTask)
      expect(complaints).toEqual([])
      await close()
    }
    // Much of it would be a second of work: reading, hashing or copying 100 MB, or looking for what can go.
    expect(Math.min(...longest)).toBeLessThan(longestTask)
  })

  it('says what is wrong with a file', async () => {
    writeFileSync(at('broken.onnx'), 'no model')
    const { page, close } = await openPage(site)
    await page.locator('input[type=file]').setInputFiles(at('broken.onnx'))
    expect(await page.getByRole('alert').innerText()).toMatch(/broken\.onnx|the model/)
    await page.locator('input[type=file]').setInputFiles(at('net.onnx'))
    await page.getByRole('slider').waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
    await close()
  })

  it('works without a network once it was loaded', async () => {
    const { page, close } = await openPage(site)
    await page.evaluate(`navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null ||
      new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', () => resolve(true))))`)
    await page.context().setOffline(true)
    await page.reload()
    await page.getByRole('button', { name: 'A small residual network' }).click()
    await page.getByRole('button', { name: 'Compile' }).click()
    await untilThere(page, 'heading', 'The compiled model')
    await close()
  })

  it.each(looks)('has no accessibility errors, $name', async ({ colorScheme, viewport }) => {
    const { page, close } = await openPage(site, { colorScheme, viewport })
    expect(await accessibilityOf(page)).toEqual([])
    await page.locator('input[type=file]').setInputFiles([at('net.onnx'), at('masks.safetensors')])
    await page.getByRole('button', { name: 'Compile' }).click()
    await untilThere(page, 'heading', 'The compiled model')
    await page.evaluate(`for (const details of document.querySelectorAll('details')) details.open = true`)
    expect(await accessibilityOf(page)).toEqual([])
    // Nothing sticks out to the side.
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    await close()
  })
})
