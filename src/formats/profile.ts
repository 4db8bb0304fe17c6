/** How days are written: year first (ISO 8601), day first, or month first. */
export type DateOrder = "ymd" | "dmy" | "mdy";
/** What values are: energy of an interval, or the mean power over it. */
export type Unit = "kWh" | "Wh" | "MWh" | "W" | "kW";

/** How a table of a kind of CSV file is read. Names of columns are looked for by their patterns. */
export type Profile = {
  readonly name: string;
  /** What it is, for people. */
  readonly about: string;
  /** No real sample was at hand: it is made after what is written of it. */
  readonly isUnverified?: true;
  /** Every one of these is the name of a column; by them the profile is known. */
  readonly header: readonly RegExp[];
  /** The meter's column; absent: by a line above the table, or the file is of one meter. */
  readonly meter?: RegExp;
  /** Stands above the table in front of the meter's id, or over it. */
  readonly meterAbove?: RegExp;
  /** Day and time in one column, or the day alone. */
  readonly time: RegExp;
  /** The time of day in a column of its own. */
  readonly clock?: RegExp;
  /** The value's column; or those of several meters or channels, or of a day's intervals. */
  readonly value: RegExp;
  /** What several columns of values are: each a meter, a channel, or a time of the day. */
  readonly wide?: "meter" | "channel" | "clock";
  /** The channel's column. */
  readonly channel?: RegExp;
  /** What channels are called, each by how its rows say it, where that is not as they stand. */
  readonly channels?: Readonly<Record<string, RegExp>>;
  /** Of a column that says the unit of each row. */
  readonly unitColumn?: RegExp;
  readonly unit?: Unit;
  /** Stands above the table with the unit. */
  readonly unitAbove?: RegExp;
  readonly dateOrder?: DateOrder;
  /** What a time says of its interval: where that begins, or where it ends. */
  readonly label?: "start" | "end";
  /** Minutes of an interval, where a label stands at its end or values are powers; else the commonest step. */
  readonly minutes?: number;
  /** Stands above the table with the interval's minutes. */
  readonly minutesAbove?: RegExp;
  readonly decimal?: "point" | "comma";
  /** The zone of times without an offset. */
  readonly timezone?: string;
};

/** Names that a profile can be asked for by; the first whose header fits is taken. */
export const PROFILES: readonly Profile[] = [
  {
    name: "london-kaggle",
    about: "London smart meters, as on Kaggle",
    header: [/^LCLid$/i, /^tstp$/i, /^energy\(kWh\/hh\)$/i],
    meter: /^LCLid$/i,
    time: /^tstp$/i,
    value: /^energy\(kWh\/hh\)$/i,
  },
  {
    name: "london-datastore",
    about: "London smart meters, as in the London Datastore",
    header: [/^LCLid$/i, /^DateTime$/i, /^KWH\/hh \(per half hour\)$/i],
    meter: /^LCLid$/i,
    time: /^DateTime$/i,
    value: /^KWH\/hh \(per half hour\)$/i,
  },
  {
    name: "ausgrid",
    about: "Ausgrid solar homes: two registers in columns, standard time all year",
    header: [/^$/, /^GC$/, /^GG$/],
    time: /^$/,
    value: /^(GC|GG|CL)$/,
    wide: "channel",
    timezone: "Etc/GMT-10",
  },
  {
    name: "uci",
    about: "UCI ElectricityLoadDiagrams: a column a meter, kW, labels at the end",
    header: [/^$/, /^MT_\d+$/],
    time: /^$/,
    value: /^MT_\d+$/,
    wide: "meter",
    unit: "kW",
    label: "end",
    minutes: 15,
    decimal: "comma",
    // Every day has 96 quarter hours, those of clock changes too: its clock is not that of a zone.
    timezone: "UTC",
  },
  {
    name: "esb-hdf",
    about: "Irish ESB Networks HDF: two registers interleaved, newest first",
    isUnverified: true,
    header: [/^MPRN$/i, /^Read Value$/i, /^Read Type$/i, /^Read Date and End Time$/i],
    meter: /^MPRN$/i,
    time: /^Read Date and End Time$/i,
    value: /^Read Value$/i,
    channel: /^Read Type$/i,
    channels: {
      import: /^Active Import Interval/i,
      export: /^Active Export Interval/i,
    },
    dateOrder: "dmy",
    label: "end",
    minutes: 30,
    timezone: "Europe/Dublin",
  },
  {
    name: "green-button-csv",
    about: "US Green Button download as CSV, below lines with name and address",
    isUnverified: true,
    header: [/^TYPE$/i, /^DATE$/i, /^START TIME$/i, /^END TIME$/i, /^(USAGE|IMPORT)\b/i],
    meterAbove: /^(Account Number|Service|Service Agreement)$/i,
    time: /^DATE$/i,
    clock: /^START TIME$/i,
    value: /^(USAGE|IMPORT)\b/i,
    unitColumn: /^UNITS$/i,
  },
  {
    name: "sdge",
    about: "San Diego Gas & Electric: a preamble, net values per hour or quarter",
    header: [
      /^Meter Number$/i,
      /^Date$/i,
      /^Start Time$/i,
      /^Duration$/i,
      /^(Consumed|Consumption|Net)$/i,
    ],
    meter: /^Meter Number$/i,
    time: /^Date$/i,
    clock: /^Start Time$/i,
    value: /^(Consumed|Consumption|Net)$/i,
    unitAbove: /^UOM: ?(\w+)$/i,
    dateOrder: "mdy",
  },
  {
    name: "smart-meter-texas",
    about: "Smart Meter Texas: consumption and surplus in rows",
    isUnverified: true,
    header: [/^ESIID$/i, /^USAGE_DATE$/i, /^USAGE_START_TIME$/i, /^USAGE_KWH$/i],
    meter: /^ESIID$/i,
    time: /^USAGE_DATE$/i,
    clock: /^USAGE_START_TIME$/i,
    value: /^USAGE_KWH$/i,
    channel: /^CONSUMPTION_SURPLUSGENERATION$/i,
    dateOrder: "mdy",
  },
  {
    name: "smart-meter-texas-short",
    about: "Smart Meter Texas with a time in one column",
    header: [/^ESIID$/i, /^timestamp$/i, /^kwh$/i, /^TYPE$/i],
    meter: /^ESIID$/i,
    time: /^timestamp$/i,
    value: /^kwh$/i,
    channel: /^TYPE$/i,
  },
  {
    name: "enedis",
    about: "Enedis load curve: the id above the table, mean W, labels as they are dated",
    header: [/^Horodate$/i, /^Valeur$/i],
    meterAbove: /^Identifiant PRM$/i,
    time: /^Horodate$/i,
    value: /^Valeur$/i,
    unitAbove: /^Unit[eé]$/i,
    minutesAbove: /^Pas en minutes$/i,
    unit: "W",
    label: "end",
    minutes: 30,
    timezone: "Europe/Paris",
  },
  {
    name: "datadis",
    about: "Datadis of Spain: hours 01:00 to 24:00, labels at the end",
    isUnverified: true,
    header: [/^cups$/i, /^fecha$/i, /^hora$/i, /^consumo/i],
    meter: /^cups$/i,
    time: /^fecha$/i,
    clock: /^hora$/i,
    value: /^consumo/i,
    label: "end",
    minutes: 60,
    timezone: "Europe/Madrid",
  },
  {
    name: "fluvius",
    about: "Fluvius of Flanders: registers in rows, decimal comma",
    isUnverified: true,
    header: [/^Van \(datum\)$/i, /^Van \(tijdstip\)$/i, /^Register$/i, /^Volume$/i],
    meter: /^EAN/i,
    time: /^Van \(datum\)$/i,
    clock: /^Van \(tijdstip\)$/i,
    value: /^Volume$/i,
    channel: /^Register$/i,
    unitColumn: /^Eenheid$/i,
    dateOrder: "dmy",
    timezone: "Europe/Brussels",
  },
  {
    name: "octopus",
    about: "Octopus Energy of Great Britain",
    isUnverified: true,
    header: [/^Consumption \(kwh\)$/i, /^Start$/i, /^End$/i],
    time: /^Start$/i,
    value: /^Consumption \(kwh\)$/i,
    timezone: "Europe/London",
  },
  {
    name: "n3rgy",
    about: "n3rgy of Great Britain: labels at the end",
    isUnverified: true,
    header: [/^timestamp( \(UTC\))?$/i, /^(energy|electricity|gas) ?consumption \(kWh\)$/i],
    time: /^timestamp( \(UTC\))?$/i,
    value: /^(energy|electricity|gas) ?consumption \(kWh\)$/i,
    label: "end",
    minutes: 30,
  },
];
