'use strict';

// Runs the official gateway client on behalf of a test. Reads one JSON command a line from standard
// input and answers with one JSON line, under the command's id. Bytes travel as base64.
//
// Commands name a step of the client's API, so that a test can hold each object by a handle, sign
// outside the client, and resume.

const crypto = require('node:crypto');
const fs = require('node:fs');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const { checkpointers, connect, hash, signers } = require('@hyperledger/fabric-gateway');

const objects = new Map();
let nextHandle = 1;

function hold(object) {
    const handle = nextHandle++;
    objects.set(handle, object);
    return handle;
}

const bytes = (value) => Buffer.from(value, 'base64');
const text = (value) => Buffer.from(value ?? []).toString('base64');

function proposalOptions(command) {
    const options = { arguments: (command.args ?? []).map(bytes) };
    if (command.transient) {
        options.transientData = Object.fromEntries(
            Object.entries(command.transient).map(([key, value]) => [key, bytes(value)]));
    }
    if (command.organizations) {
        options.endorsingOrganizations = command.organizations;
    }
    return options;
}

function contractOf(command) {
    const network = objects.get(command.gateway).getNetwork(command.channel);
    return network.getContract(command.chaincode, command.contract);
}

function readMaybe(path) {
    return path ? fs.readFileSync(path) : undefined;
}

function eventOf(event) {
    return {
        blockNumber: String(event.blockNumber),
        transactionId: event.transactionId,
        chaincodeName: event.chaincodeName,
        eventName: event.eventName,
        payload: text(event.payload),
    };
}

function filteredOf(block) {
    return {
        number: String(block.getNumber()),
        transactions: block.getFilteredTransactionsList().map((transaction) => ({
            id: transaction.getTxid(),
            code: transaction.getTxValidationCode(),
        })),
    };
}

function blockOf(block) {
    return {
        number: String(block.getHeader().getNumber()),
        previousHash: text(block.getHeader().getPreviousHash_asU8()),
        dataHash: text(block.getHeader().getDataHash_asU8()),
        transactions: block.getData().getDataList_asU8().length,
        metadata: block.getMetadata().getMetadataList_asU8().map(text),
    };
}

// Reads `count` items from an event stream, then closes it.
async function collect(events, count, convert, checkpoint) {
    const found = [];
    try {
        for await (const event of events) {
            found.push(convert(event));
            if (checkpoint) {
                await checkpoint(event);
            }
            if (found.length >= count) {
                break;
            }
        }
    } finally {
        events.close();
    }
    return found;
}

function eventOptions(command) {
    const options = {};
    if (command.startBlock !== undefined) {
        options.startBlock = BigInt(command.startBlock);
    }
    if (command.checkpointer) {
        options.checkpoint = objects.get(command.checkpointer);
    }
    return options;
}

const commands = {
    connect(command) {
        const credentials = command.tlsRoot
            ? grpc.credentials.createSsl(fs.readFileSync(command.tlsRoot))
            : grpc.credentials.createInsecure();
        const options = command.hostAlias ? { 'grpc.ssl_target_name_override': command.hostAlias } : {};
        const client = new grpc.Client(command.endpoint, credentials, options);
        const key = readMaybe(command.key);
        const gateway = connect({
            client,
            identity: { mspId: command.mspId, credentials: fs.readFileSync(command.certificate) },
            signer: key ? signers.newPrivateKeySigner(crypto.createPrivateKey(key)) : undefined,
            hash: hash.sha256,
            evaluateOptions: () => ({ deadline: Date.now() + (command.deadlines?.evaluate ?? 30000) }),
            endorseOptions: () => ({ deadline: Date.now() + (command.deadlines?.endorse ?? 30000) }),
            submitOptions: () => ({ deadline: Date.now() + (command.deadlines?.submit ?? 30000) }),
            commitStatusOptions: () => ({ deadline: Date.now() + (command.deadlines?.commit ?? 60000) }),
        });
        return { gateway: hold(gateway), client: hold(client) };
    },
    close(command) {
        objects.get(command.gateway).close();
        objects.get(command.client).close();
        return {};
    },
    async evaluate(command) {
        return { result: text(await contractOf(command).evaluate(command.name, proposalOptions(command))) };
    },
    async submit(command) {
        return { result: text(await contractOf(command).submit(command.name, proposalOptions(command))) };
    },
    async submitAsync(command) {
        const commit = await contractOf(command).submitAsync(command.name, proposalOptions(command));
        return { commit: hold(commit), result: text(commit.getResult()), transactionId: commit.getTransactionId() };
    },
    newProposal(command) {
        const proposal = contractOf(command).newProposal(command.name, proposalOptions(command));
        return {
            proposal: hold(proposal), transactionId: proposal.getTransactionId(),
            bytes: text(proposal.getBytes()), digest: text(proposal.getDigest()),
        };
    },
    signedProposal(command) {
        const gateway = objects.get(command.gateway);
        return { proposal: hold(gateway.newSignedProposal(bytes(command.bytes), bytes(command.signature))) };
    },
    async evaluateProposal(command) {
        return { result: text(await objects.get(command.proposal).evaluate()) };
    },
    async endorse(command) {
        const transaction = await objects.get(command.proposal).endorse();
        return {
            transaction: hold(transaction), result: text(transaction.getResult()),
            transactionId: transaction.getTransactionId(),
            bytes: text(transaction.getBytes()), digest: text(transaction.getDigest()),
        };
    },
    signedTransaction(command) {
        const gateway = objects.get(command.gateway);
        return { transaction: hold(gateway.newSignedTransaction(bytes(command.bytes), bytes(command.signature))) };
    },
    async submitTransaction(command) {
        const commit = await objects.get(command.transaction).submit();
        return { commit: hold(commit), bytes: text(commit.getBytes()), digest: text(commit.getDigest()) };
    },
    signedCommit(command) {
        const gateway = objects.get(command.gateway);
        return { commit: hold(gateway.newSignedCommit(bytes(command.bytes), bytes(command.signature))) };
    },
    async status(command) {
        const status = await objects.get(command.commit).getStatus();
        return { code: status.code, successful: status.successful, blockNumber: String(status.blockNumber) };
    },
    async chaincodeEvents(command) {
        const network = objects.get(command.gateway).getNetwork(command.channel);
        const events = await network.getChaincodeEvents(command.chaincode, eventOptions(command));
        const checkpointer = command.checkpointer && objects.get(command.checkpointer);
        const checkpoint = checkpointer && ((event) => checkpointer.checkpointChaincodeEvent(event));
        return { events: await collect(events, command.count, eventOf, checkpoint) };
    },
    async openChaincodeEvents(command) {
        const network = objects.get(command.gateway).getNetwork(command.channel);
        return { events: hold(await network.getChaincodeEvents(command.chaincode, eventOptions(command))) };
    },
    async readEvents(command) {
        return { events: await collect(objects.get(command.events), command.count, eventOf) };
    },
    async blockEvents(command) {
        const network = objects.get(command.gateway).getNetwork(command.channel);
        return { blocks: await collect(await network.getBlockEvents(eventOptions(command)), command.count, blockOf) };
    },
    async filteredBlockEvents(command) {
        const network = objects.get(command.gateway).getNetwork(command.channel);
        const events = await network.getFilteredBlockEvents(eventOptions(command));
        return { blocks: await collect(events, command.count, filteredOf) };
    },
    async blockAndPrivateEvents(command) {
        const network = objects.get(command.gateway).getNetwork(command.channel);
        const events = await network.getBlockAndPrivateDataEvents(eventOptions(command));
        return { blocks: await collect(events, command.count, (item) => blockOf(item.getBlock())) };
    },
    async fileCheckpointer(command) {
        return { checkpointer: hold(await checkpointers.file(command.path)) };
    },
    inMemoryCheckpointer() {
        return { checkpointer: hold(checkpointers.inMemory()) };
    },
};

function failureOf(error) {
    return {
        name: error.constructor.name,
        message: error.message,
        code: error.code,
        transactionId: error.transactionId,
        details: (error.details && Array.isArray(error.details)) ? error.details : undefined,
        cause: error.cause ? { code: error.cause.code, message: error.cause.message } : undefined,
    };
}

async function serve(line) {
    const command = JSON.parse(line);
    let answer;
    try {
        answer = { ok: await commands[command.do](command) };
    } catch (error) {
        answer = { failed: failureOf(error) };
    }
    process.stdout.write(JSON.stringify({ id: command.id, ...answer }) + '\n');
}

const input = readline.createInterface({ input: process.stdin });
input.on('line', (line) => { void serve(line); });
input.on('close', () => process.exit(0));
