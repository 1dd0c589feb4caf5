using System;
using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Text;
using CacheServer.Store;

namespace CacheServer.Protocol;

/// <summary>The protocol of lines.</summary>
internal sealed class AsciiProtocol(IItemStore store, PipeWriter output) : IProtocol
{
    private const int LineBytesMax = 64 * 1024;

    /// <summary>Bytes of a block that was refused, to be passed over.</summary>
    private long _toSkip;

    public bool TryAnswer(ref ReadOnlySequence<byte> unread, out bool goesOn)
    {
        goesOn = true;
        if (_toSkip != 0)
        {
            long skipped = Math.Min(_toSkip, unread.Length);
            unread = unread.Slice(skipped);
            _toSkip -= skipped;
        }

        if (_toSkip != 0 || unread.PositionOf((byte)'\n') is not SequencePosition end)
        {
            if (unread.Length > LineBytesMax)
            {
                output.Put("CLIENT_ERROR line too long\r\n"u8);
                unread = unread.Slice(unread.End);
                goesOn = false;
            }

            return false;
        }

        byte[]? copy = null;
        ReadOnlySpan<byte> line = Bytes.AsOne(unread.Slice(0, end), ref copy);
        line = line.EndsWith("\r"u8) ? line[..^1] : line;
        ReadOnlySequence<byte> rest = unread.Slice(unread.GetPosition(1, end));
        bool isWhole = Answer(line, ref rest, out goesOn);
        Bytes.GiveBack(copy);
        unread = isWhole ? rest : unread;
        return isWhole;
    }

    private bool Answer(ReadOnlySpan<byte> line, ref ReadOnlySequence<byte> rest, out bool goesOn)
    {
        goesOn = true;
        ReadOnlySpan<byte> arguments = line;
        ReadOnlySpan<byte> command = NextWord(ref arguments);
        switch (command)
        {
            case var _ when command.SequenceEqual("get"u8):
                Get(arguments, withVersion: false);
                return true;
            case var _ when command.SequenceEqual("gets"u8):
                Get(arguments, withVersion: true);
                return true;
            case var _ when command.SequenceEqual("set"u8):
                return Store(StoreMode.Set, arguments, ref rest, isCompare: false);
            case var _ when command.SequenceEqual("add"u8):
                return Store(StoreMode.Add, arguments, ref rest, isCompare: false);
            case var _ when command.SequenceEqual("replace"u8):
                return Store(StoreMode.Replace, arguments, ref rest, isCompare: false);
            case var _ when command.SequenceEqual("append"u8):
                return Store(StoreMode.Append, arguments, ref rest, isCompare: false);
            case var _ when command.SequenceEqual("prepend"u8):
                return Store(StoreMode.Prepend, arguments, ref rest, isCompare: false);
            case var _ when command.SequenceEqual("cas"u8):
                return Store(StoreMode.Set, arguments, ref rest, isCompare: true);
            case var _ when command.SequenceEqual("incr"u8):
                Count(adds: true, arguments);
                return true;
            case var _ when command.SequenceEqual("decr"u8):
                Count(adds: false, arguments);
                return true;
            case var _ when command.SequenceEqual("delete"u8):
                Delete(arguments);
                return true;
            case var _ when command.SequenceEqual("flush_all"u8):
                Flush(arguments);
                return true;
            case var _ when command.SequenceEqual("version"u8):
                output.Put("VERSION "u8);
                output.Put(ServerStatistics.Version);
                output.Put("\r\n"u8);
                return true;
            case var _ when command.SequenceEqual("verbosity"u8):
                Verbosity(arguments);
                return true;
            case var _ when command.SequenceEqual("stats"u8):
                if (NextWord(ref arguments) is var what && what.SequenceEqual("reset"u8))
                {
                    LongestPause.Reset();
                    output.Put("RESET\r\n"u8);
                    return true;
                }

                if (!what.IsEmpty)
                {
                    output.Put("ERROR\r\n"u8);
                    return true;
                }

                ServerStatistics.Visit(store, this, static (protocol, name, value) => protocol.PutStatistic(name, value));
                output.Put("END\r\n"u8);
                return true;
            case var _ when command.SequenceEqual("quit"u8):
                goesOn = !arguments.IsEmpty;
                output.Put(goesOn ? "ERROR\r\n"u8 : default);
                return true;
            default:
                output.Put("ERROR\r\n"u8);
                return true;
        }
    }

    private void Get(ReadOnlySpan<byte> keys, bool withVersion)
    {
        ReadOnlySpan<byte> key = NextWord(ref keys);
        if (key.IsEmpty)
        {
            output.Put("ERROR\r\n"u8);
            return;
        }

        for (; !key.IsEmpty; key = NextWord(ref keys))
        {
            if (key.Length > Bytes.KeyBytesMax)
            {
                output.Put("CLIENT_ERROR the key is too long\r\n"u8);
                return;
            }

            ValueReply reply = new() { Output = output, Key = key, WithVersion = withVersion };
            _ = store.TryGet(key, ref reply);
        }

        output.Put("END\r\n"u8);
    }

    /// <summary>key flags expiry bytes [version] [noreply], and then a block. False: that has not come as a whole.</summary>
    private bool Store(StoreMode mode, ReadOnlySpan<byte> arguments, ref ReadOnlySequence<byte> rest, bool isCompare)
    {
        ReadOnlySpan<byte> key = NextWord(ref arguments);
        bool isGood = TryReadNumber(ref arguments, out ulong flags) & TryReadSigned(ref arguments, out long expiry) & TryReadNumber(ref arguments, out ulong bytes);
        ulong expected = 0;
        isGood &= !isCompare || TryReadNumber(ref arguments, out expected);
        ReadOnlySpan<byte> last = NextWord(ref arguments);
        bool isSilent = IsSilent(last);
        isGood &= last.IsEmpty || isSilent;
        if (key.IsEmpty || !isGood || flags > uint.MaxValue || bytes > int.MaxValue)
        {
            output.Put(key.IsEmpty || !isGood ? "ERROR\r\n"u8 : "CLIENT_ERROR bad command line format\r\n"u8);
            return true;
        }

        if (key.Length > Bytes.KeyBytesMax || bytes > Bytes.ValueBytesMax)
        {
            _toSkip = (long)bytes + 2;
            Reply(key.Length > Bytes.KeyBytesMax ? "CLIENT_ERROR the key is too long\r\n"u8 : "SERVER_ERROR object too large for cache\r\n"u8, isSilent);
            return true;
        }

        if (rest.Length < (long)bytes + 2)
        {
            return false;
        }

        byte[]? copy = null;
        ReadOnlySpan<byte> block = Bytes.AsOne(rest.Slice(0, (long)bytes + 2), ref copy);
        rest = rest.Slice((long)bytes + 2);
        if (!block.EndsWith("\r\n"u8))
        {
            output.Put("CLIENT_ERROR bad data chunk\r\n"u8);
        }
        else
        {
            StoreStatus status = store.Store(mode, key, block[..^2], (uint)flags, Bytes.Expiry(expiry, store.Now), isCompare ? Math.Max(expected, 1) : 0, out _);
            Reply(
                status switch
                {
                    StoreStatus.Done => "STORED\r\n"u8,
                    StoreStatus.Exists when isCompare => "EXISTS\r\n"u8,
                    StoreStatus.NotFound when isCompare => "NOT_FOUND\r\n"u8,
                    StoreStatus.OutOfMemory => "SERVER_ERROR out of memory storing object\r\n"u8,
                    _ => "NOT_STORED\r\n"u8,
                },
                isSilent);
        }

        Bytes.GiveBack(copy);
        return true;
    }

    private void Count(bool adds, ReadOnlySpan<byte> arguments)
    {
        ReadOnlySpan<byte> key = NextWord(ref arguments);
        ReadOnlySpan<byte> delta = NextWord(ref arguments);
        if (key.IsEmpty || delta.IsEmpty)
        {
            output.Put("ERROR\r\n"u8);
            return;
        }

        bool isSilent = IsSilent(NextWord(ref arguments));
        if (!Utf8Parser.TryParse(delta, out ulong number, out int used) || used != delta.Length)
        {
            Reply("CLIENT_ERROR invalid numeric delta argument\r\n"u8, isSilent);
            return;
        }

        StoreStatus status = store.Count(key, adds, number, null, 0, 0, out ulong result, out _);
        if (status == StoreStatus.Done && !isSilent)
        {
            output.Put(result);
        }

        Reply(
            status switch
            {
                StoreStatus.Done => "\r\n"u8,
                StoreStatus.NotFound => "NOT_FOUND\r\n"u8,
                StoreStatus.NotANumber => "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"u8,
                _ => "SERVER_ERROR out of memory\r\n"u8,
            },
            isSilent);
    }

    private void Delete(ReadOnlySpan<byte> arguments)
    {
        ReadOnlySpan<byte> key = NextWord(ref arguments);
        ReadOnlySpan<byte> last = NextWord(ref arguments);
        last = last.SequenceEqual("0"u8) ? NextWord(ref arguments) : last;
        if (key.IsEmpty)
        {
            output.Put("ERROR\r\n"u8);
        }
        else if (!last.IsEmpty && !IsSilent(last))
        {
            output.Put("CLIENT_ERROR bad command line format\r\n"u8);
        }
        else
        {
            Reply(store.Delete(key, 0) == StoreStatus.Done ? "DELETED\r\n"u8 : "NOT_FOUND\r\n"u8, IsSilent(last));
        }
    }

    private void Flush(ReadOnlySpan<byte> arguments)
    {
        ReadOnlySpan<byte> first = NextWord(ref arguments);
        bool isSilent = IsSilent(first);
        ulong seconds = 0;
        if (!first.IsEmpty && !isSilent && (!Utf8Parser.TryParse(first, out seconds, out int used) || used != first.Length))
        {
            output.Put("CLIENT_ERROR bad command line format\r\n"u8);
            return;
        }

        store.Flush(seconds == 0 ? 0 : Bytes.Expiry((long)seconds, store.Now));
        Reply("OK\r\n"u8, isSilent || IsSilent(NextWord(ref arguments)));
    }

    /// <summary>Takes a level and does nothing with it: there is no log.</summary>
    private void Verbosity(ReadOnlySpan<byte> arguments)
    {
        ReadOnlySpan<byte> level = NextWord(ref arguments);
        bool isSilent = IsSilent(level) || IsSilent(NextWord(ref arguments));
        bool isNumber = Utf8Parser.TryParse(level, out ulong _, out int used) && used == level.Length;
        Reply(isNumber ? "OK\r\n"u8 : "ERROR\r\n"u8, isSilent);
    }

    private void PutStatistic(string name, ulong value)
    {
        output.Put("STAT "u8);
        _ = Encoding.ASCII.GetBytes(name.AsSpan(), output);
        output.Put(" "u8);
        output.Put(value);
        output.Put("\r\n"u8);
    }

    private void Reply(ReadOnlySpan<byte> text, bool isSilent)
    {
        if (!isSilent)
        {
            output.Put(text);
        }
    }

    private static bool IsSilent(ReadOnlySpan<byte> word) => word.SequenceEqual("noreply"u8);

    private static ReadOnlySpan<byte> NextWord(ref ReadOnlySpan<byte> line)
    {
        line = line.TrimStart((byte)' ');
        int end = line.IndexOf((byte)' ');
        ReadOnlySpan<byte> word = end < 0 ? line : line[..end];
        line = line[word.Length..];
        return word;
    }

    private static bool TryReadNumber(ref ReadOnlySpan<byte> line, out ulong number)
    {
        ReadOnlySpan<byte> word = NextWord(ref line);
        return Utf8Parser.TryParse(word, out number, out int used) && used == word.Length;
    }

    private static bool TryReadSigned(ref ReadOnlySpan<byte> line, out long number)
    {
        ReadOnlySpan<byte> word = NextWord(ref line);
        return Utf8Parser.TryParse(word, out number, out int used) && used == word.Length;
    }

    /// <summary>Writes one VALUE.</summary>
    private ref struct ValueReply : IItemReader
    {
        public PipeWriter Output;
        public ReadOnlySpan<byte> Key;
        public bool WithVersion;

        public readonly void Read(ReadOnlySpan<byte> value, uint flags, ulong version)
        {
            Output.Put("VALUE "u8);
            Output.Put(Key);
            Output.Put(" "u8);
            Output.Put(flags);
            Output.Put(" "u8);
            Output.Put((ulong)value.Length);
            if (WithVersion)
            {
                Output.Put(" "u8);
                Output.Put(version);
            }

            Output.Put("\r\n"u8);
            Output.Put(value);
            Output.Put("\r\n"u8);
        }
    }
}
