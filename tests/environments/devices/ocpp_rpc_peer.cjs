// A charge point by ocpp-rpc in strict mode: what is not valid by OCPP's schemas, either way, is an error.
// Usage: node ocpp_rpc_peer.cjs ENDPOINT IDENTITY, the password in OCPP_PASSWORD. Prints what it is asked, one JSON a line.
const { RPCClient } = require("ocpp-rpc");

const [endpoint, identity] = process.argv.slice(2);
const point = new RPCClient({
  endpoint,
  identity,
  password: process.env.OCPP_PASSWORD,
  protocols: ["ocpp1.6"],
  strictMode: true,
  reconnect: false,
});
const say = (what, content) => console.log(JSON.stringify({ what, content }));
const fail = (why) => { say("failed", String(why && why.message || why)); process.exit(1); };

point.on("strictValidationFailure", ({ error }) => fail(error));
for (const action of ["ChangeConfiguration", "ClearChargingProfile"]) {
  point.handle(action, ({ params }) => { say(action, params); return { status: "Accepted" }; });
}
let planned;
const plan = new Promise((resolve) => { planned = resolve; });
point.handle("SetChargingProfile", ({ params }) => {
  say("SetChargingProfile", params);
  if (params.csChargingProfiles.chargingProfilePurpose === "TxProfile") planned();
  return { status: "Accepted" };
});

const reading = (wh, percent) => [{
  timestamp: new Date().toISOString(),
  sampledValue: [
    { value: String(wh), measurand: "Energy.Active.Import.Register", unit: "Wh" },
    { value: "7200.5", measurand: "Power.Active.Import", unit: "W" },
    { value: String(percent), measurand: "SoC", unit: "Percent" },
  ],
}];

async function main() {
  await point.connect();
  say("BootNotification", await point.call("BootNotification", {
    chargePointVendor: "ocpp-rpc", chargePointModel: "strict", firmwareVersion: "2.2.1",
  }));
  await point.call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Preparing" });
  await point.call("Heartbeat", {});
  say("Authorize", await point.call("Authorize", { idTag: "CARD-1" }));
  const start = { connectorId: 1, idTag: "CARD-1", meterStart: 1000, timestamp: new Date().toISOString() };
  const started = await point.call("StartTransaction", start);
  say("StartTransaction", started);
  say("StartTransaction", await point.call("StartTransaction", start));
  const transactionId = started.transactionId;
  await point.call("MeterValues", { connectorId: 1, transactionId, meterValue: reading(1250.5, 41.5) });
  await plan;
  await point.call("StopTransaction", {
    transactionId, meterStop: 1900, timestamp: new Date().toISOString(), reason: "EVDisconnected",
  });
  await point.call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Available" });
  say("done", {});
  await point.close();
}

main().catch(fail);
