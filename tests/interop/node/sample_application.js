'use strict';

// Makes the calls of Fabric's sample applications (fabric-samples asset-transfer-basic and
// asset-transfer-events) and prints what came of each, one JSON line a call.
//
// Everything has the samples' defaults: paths relative to this file, as it lies three folders below
// the samples' root beside test-network; environment variables of the same names override them.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { connect, hash, signers } = require('@hyperledger/fabric-gateway');

const setting = (name, otherwise) => process.env[name] || otherwise;

const channelName = setting('CHANNEL_NAME', 'mychannel');
const mspId = setting('MSP_ID', 'Org1MSP');
const cryptoPath = setting('CRYPTO_PATH', path.resolve(
    __dirname, '../../../test-network/organizations/peerOrganizations/org1.example.com'));
const userPath = path.join(cryptoPath, 'users', 'User1@org1.example.com', 'msp');
const keyDirectory = setting('KEY_DIRECTORY_PATH', path.join(userPath, 'keystore'));
const certificateDirectory = setting('CERT_DIRECTORY_PATH', path.join(userPath, 'signcerts'));
const tlsRoot = setting('TLS_CERT_PATH', path.join(cryptoPath, 'peers/peer0.org1.example.com/tls/ca.crt'));
const endpoint = setting('PEER_ENDPOINT', 'localhost:7051');
const hostAlias = setting('PEER_HOST_ALIAS', 'peer0.org1.example.com');

const parsed = (data) => JSON.parse(Buffer.from(data).toString());

function tell(call, outcome) {
    process.stdout.write(JSON.stringify({ call, ...outcome }) + '\n');
}

function firstFile(directory) {
    return fs.readFileSync(path.join(directory, fs.readdirSync(directory)[0]));
}

async function transferAssets(network) {
    const contract = network.getContract(setting('CHAINCODE_NAME', 'basic'));
    const id = `asset${Date.now()}`;
    await contract.submitTransaction('InitLedger');
    tell('InitLedger', {});
    tell('GetAllAssets', { result: parsed(await contract.evaluateTransaction('GetAllAssets')) });
    await contract.submitTransaction('CreateAsset', id, 'yellow', '5', 'Tom', '1300');
    tell('CreateAsset', { id });
    const commit = await contract.submitAsync('TransferAsset', { arguments: [id, 'Saptha'] });
    const oldOwner = Buffer.from(commit.getResult()).toString();
    const status = await commit.getStatus();
    tell('TransferAsset', { result: oldOwner, successful: status.successful, code: status.code });
    tell('ReadAsset', { result: parsed(await contract.evaluateTransaction('ReadAsset', id)) });
    try {
        await contract.submitTransaction('UpdateAsset', 'asset70', 'blue', '5', 'Tomoko', '300');
        tell('UpdateAsset', {});
    } catch (error) {
        const { code, details, transactionId } = error;
        tell('UpdateAsset', { failed: error.constructor.name, code, details, transactionId });
    }
}

async function changeAssets(contract, id) {
    const created = await contract.submitAsync('CreateAsset', { arguments: [id, 'blue', '10', 'Sam', '100'] });
    const status = await created.getStatus();
    tell('CreateAsset', { id, successful: status.successful });
    await contract.submitTransaction('UpdateAsset', id, 'blue', '10', 'Sam', '200');
    await contract.submitTransaction('TransferAsset', id, 'Mary');
    await contract.submitTransaction('DeleteAsset', id);
    return status.blockNumber;
}

// Tells the names and payloads of the events up to the one of the deletion.
async function tellEvents(call, events) {
    const found = [];
    try {
        for await (const event of events) {
            found.push([event.eventName, parsed(event.payload)]);
            if (event.eventName === 'DeleteAsset') {
                break;
            }
        }
    } finally {
        events.close();
    }
    tell(call, { events: found });
}

async function followAssets(network) {
    const live = await network.getChaincodeEvents('events');
    const listening = tellEvents('listen', live);
    const startBlock = await changeAssets(network.getContract('events'), `asset${Date.now()}`);
    await listening;
    await tellEvents('replay', await network.getChaincodeEvents('events', { startBlock }));
}

async function main() {
    const credentials = grpc.credentials.createSsl(fs.readFileSync(tlsRoot));
    const client = new grpc.Client(endpoint, credentials, { 'grpc.ssl_target_name_override': hostAlias });
    const gateway = connect({
        client,
        identity: { mspId, credentials: firstFile(certificateDirectory) },
        signer: signers.newPrivateKeySigner(crypto.createPrivateKey(firstFile(keyDirectory))),
        hash: hash.sha256,
        evaluateOptions: () => ({ deadline: Date.now() + 5000 }),
        endorseOptions: () => ({ deadline: Date.now() + 15000 }),
        submitOptions: () => ({ deadline: Date.now() + 5000 }),
        commitStatusOptions: () => ({ deadline: Date.now() + 60000 }),
    });
    try {
        const network = gateway.getNetwork(channelName);
        await (process.argv[2] === 'events' ? followAssets : transferAssets)(network);
    } finally {
        gateway.close();
        client.close();
    }
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
