// Images and containers without a Docker engine: buildah builds, podman runs, podman-compose reads the compose file.
//
// Images and their layers are in a folder of their own, and stay there, so that a second proof builds little.
//
// Knows: the programs and how they are called. Does not know: what is in the images.

import { execFile, spawnSync } from 'node:child_process'
import { mkdir, readFile, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { ROOT } from '../../support/process.ts'

/** podman-compose is a Python program: `pip install podman-compose` */
const PROGRAMS = ['buildah', 'podman', 'podman-compose', 'debootstrap']
const COMPOSE = ['-f', join(ROOT, 'docker/compose.yaml')]
const MAX_OUTPUT_BYTES = 64 << 20
/** of statfs, for an overlay itself */
const OVERLAY_TYPE = 0x79_4c_76_30
const MAX_FILES = 1_048_576
/** a gateway has a dozen threads, PostgreSQL a process for each connection */
const MAX_PROCESSES = 4_096

/** false, or why nothing can be shown here */
export function findWhatIsMissing(): string | false {
  const missing = PROGRAMS.filter(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status !== 0,
  )
  if (missing.length > 0) return `there is no ${missing.join(', no ')} here`
  return process.getuid?.() === 0 ? false : 'an image for node:24-slim can only be made by root'
}

export class Containers {
  readonly #env: NodeJS.ProcessEnv

  private constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  /** @param folder where images are kept; made where it is missing */
  static async open(folder: string): Promise<Containers> {
    await mkdir(folder, { recursive: true })
    const storage = join(folder, 'storage.conf')
    const driver = process.env['STORAGE_DRIVER'] ?? (await driverFor(folder))
    await writeFile(
      storage,
      `[storage]\ndriver = "${driver}"\ngraphroot = "${folder}/images"\nrunroot = "${folder}/run"\n`,
    )
    const containers = join(folder, 'containers.conf')
    // runc, where it is there, runs in more places than crun: with cgroups of both generations, for one.
    const runtime = spawnSync('runc', ['--version'], { stdio: 'ignore' }).status === 0 ? 'runc' : ''
    await writeFile(
      containers,
      `[network]\nnetwork_backend = "netavark"\n` +
        `[containers]\ndefault_ulimits = ${JSON.stringify(await ownLimits())}\nlog_driver = "k8s-file"\n` +
        `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n${runtime && `runtime = "${runtime}"\n`}`,
    )
    return new Containers({
      ...process.env,
      CONTAINERS_STORAGE_CONF: storage,
      CONTAINERS_CONF: containers,
      BUILDAH_ISOLATION: 'chroot',
      STORAGE_DRIVER: driver,
    })
  }

  /** @returns what it wrote to standard output @throws Error with the end of what it said */
  async run(program: string, args: string[], more: NodeJS.ProcessEnv = {}): Promise<string> {
    const options = { cwd: ROOT, env: { ...this.#env, ...more }, maxBuffer: MAX_OUTPUT_BYTES }
    try {
      return (await promisify(execFile)(program, args, options)).stdout
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string }
      const said = stderr.split('\n').slice(-20).join('\n')
      throw new Error(`${program} ${args.join(' ')} failed:\n${said}`, { cause: error })
    }
  }

  async hasImage(image: string): Promise<boolean> {
    return this.run('podman', ['image', 'exists', image]).then(
      () => true,
      () => false,
    )
  }

  build(file: string, target: string, image: string, more: string[] = []): Promise<string> {
    const how = ['--layers', '--isolation', 'chroot', '--format', 'docker', ...more]
    return this.run('buildah', ['bud', ...how, '-f', file, '--target', target, '-t', image, ROOT])
  }

  async sizeOf(image: string): Promise<number> {
    return Number(await this.run('podman', ['image', 'inspect', '--format', '{{.Size}}', image]))
  }

  compose(args: string[], more: NodeJS.ProcessEnv): Promise<string> {
    return this.run('podman-compose', [...COMPOSE, ...args], more)
  }
}

/** vfs copies an image for each of its layers, which takes tens of gigabytes; an overlay can't lie upon an overlay. */
async function driverFor(folder: string): Promise<'overlay' | 'vfs'> {
  const known = await readFile('/proc/filesystems', 'utf8')
  const { type } = await statfs(folder)
  return /\boverlay$/m.test(known) && type !== OVERLAY_TYPE ? 'overlay' : 'vfs'
}

/** A container can't be given more than this process has, or may give, and podman asks for more where nothing is said. */
async function ownLimits(): Promise<string[]> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  const files = /^Max open files +\S+ +(\d+)/m.exec(limits)?.[1] ?? MAX_FILES
  return [`nofile=${files}:${files}`, `nproc=${MAX_PROCESSES}:${MAX_PROCESSES}`]
}
