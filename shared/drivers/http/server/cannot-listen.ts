/** Why a port cannot be listened on, in words that name the settings which choose another. */

/** It cannot listen there; the message names host, port and the settings that choose others. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";
  /** Another program listens there, which may be one of ours. */
  readonly isPortBusy: boolean;
  constructor(message: string, isPortBusy: boolean, cause: unknown) {
    super(message, { cause });
    this.isPortBusy = isPortBusy;
  }
}

export interface Place {
  readonly host: string;
  readonly port: number;
  readonly portSetting: string;
  /** `HOST` unless it is given. */
  readonly hostSetting?: string;
}

export function cannotListen({ host, port, portSetting, hostSetting = "HOST" }: Place, cause: unknown): CannotListen {
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  const where = `cannot listen on ${host}:${port}`;
  switch (code) {
    case "EADDRINUSE": {
      const remedy = `Stop that program, or choose another port with ${portSetting} (0 takes a free one).`;
      return new CannotListen(`${where} since port ${port} is in use by another program. ${remedy}`, true, cause);
    }
    case "EACCES": {
      const remedy = `Choose one from 1024 on with ${portSetting}.`;
      return new CannotListen(`${where} since this user may not listen on port ${port}. ${remedy}`, false, cause);
    }
    case "EADDRNOTAVAIL":
      return new CannotListen(
        `${where} since ${host} is no address of this machine. Mend ${hostSetting}.`,
        false,
        cause,
      );
    default: {
      const why = cause instanceof Error ? cause.message : String(cause);
      return new CannotListen(
        `${where} (${why}). Choose another with ${hostSetting} and ${portSetting}.`,
        false,
        cause,
      );
    }
  }
}
