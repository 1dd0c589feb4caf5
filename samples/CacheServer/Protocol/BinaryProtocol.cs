using System;
using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;
using CacheServer.Store;

namespace CacheServer.Protocol;

/// <summary>The protocol of frames: a header of 24 bytes, extras, key, value.</summary>
internal sealed class BinaryProtocol(IItemStore store, PipeWriter output) : IProtocol
{
    private const int HeaderBytes = 24;
    private const int BodyBytesMax = Bytes.ValueBytesMax + 4096;
    private const byte RequestMagic = 0x80;
    private const byte ResponseMagic = 0x81;
    private const uint NeverCreate = uint.MaxValue;

    private enum Code : byte
    {
        Get = 0x00,
        Set = 0x01,
        Add = 0x02,
        Replace = 0x03,
        Delete = 0x04,
        Increment = 0x05,
        Decrement = 0x06,
        Quit = 0x07,
        Flush = 0x08,
        GetQuiet = 0x09,
        Noop = 0x0A,
        Version = 0x0B,
        GetKey = 0x0C,
        GetKeyQuiet = 0x0D,
        Append = 0x0E,
        Prepend = 0x0F,
        Statistics = 0x10,
        SetQuiet = 0x11,
        AddQuiet = 0x12,
        ReplaceQuiet = 0x13,
        DeleteQuiet = 0x14,
        IncrementQuiet = 0x15,
        DecrementQuiet = 0x16,
        QuitQuiet = 0x17,
        FlushQuiet = 0x18,
        AppendQuiet = 0x19,
        PrependQuiet = 0x1A,
    }

    private enum Answer : ushort
    {
        Done = 0,
        NotFound = 1,
        Exists = 2,
        TooLarge = 3,
        InvalidArguments = 4,
        NotStored = 5,
        NotANumber = 6,
        UnknownCommand = 0x81,
        OutOfMemory = 0x82,
    }

    /// <summary>What a request's header says.</summary>
    private readonly ref struct Request
    {
        public readonly Code Code;
        public readonly uint Opaque;
        public readonly ulong Version;
        public readonly ReadOnlySpan<byte> Extras;
        public readonly ReadOnlySpan<byte> Key;
        public readonly ReadOnlySpan<byte> Value;

        public Request(ReadOnlySpan<byte> frame)
        {
            int keyBytes = BinaryPrimitives.ReadUInt16BigEndian(frame[2..]);
            int extraBytes = frame[4];
            Code = (Code)frame[1];
            Opaque = BinaryPrimitives.ReadUInt32BigEndian(frame[12..]);
            Version = BinaryPrimitives.ReadUInt64BigEndian(frame[16..]);
            Extras = frame.Slice(HeaderBytes, extraBytes);
            Key = frame.Slice(HeaderBytes + extraBytes, keyBytes);
            Value = frame[(HeaderBytes + extraBytes + keyBytes)..];
        }
    }

    public bool TryAnswer(ref ReadOnlySequence<byte> unread, out bool goesOn)
    {
        goesOn = true;
        if (unread.Length < HeaderBytes)
        {
            return false;
        }

        Span<byte> header = stackalloc byte[HeaderBytes];
        unread.Slice(0, HeaderBytes).CopyTo(header);
        uint bodyBytes = BinaryPrimitives.ReadUInt32BigEndian(header[8..]);
        if (header[0] != RequestMagic || BinaryPrimitives.ReadUInt16BigEndian(header[2..]) + header[4] > bodyBytes || bodyBytes > BodyBytesMax)
        {
            // Where the next frame starts cannot be known.
            goesOn = false;
            return false;
        }

        if (unread.Length < HeaderBytes + bodyBytes)
        {
            return false;
        }

        byte[]? copy = null;
        goesOn = AnswerWhole(new Request(Bytes.AsOne(unread.Slice(0, HeaderBytes + bodyBytes), ref copy)));
        unread = unread.Slice(HeaderBytes + bodyBytes);
        Bytes.GiveBack(copy);
        return true;
    }

    private bool AnswerWhole(Request request)
    {
        switch (request.Code)
        {
            case Code.Get or Code.GetQuiet or Code.GetKey or Code.GetKeyQuiet:
                Get(request);
                return true;
            case Code.Set or Code.SetQuiet:
                Store(request, StoreMode.Set);
                return true;
            case Code.Add or Code.AddQuiet:
                Store(request, StoreMode.Add);
                return true;
            case Code.Replace or Code.ReplaceQuiet:
                Store(request, StoreMode.Replace);
                return true;
            case Code.Append or Code.AppendQuiet:
                Store(request, StoreMode.Append);
                return true;
            case Code.Prepend or Code.PrependQuiet:
                Store(request, StoreMode.Prepend);
                return true;
            case Code.Delete or Code.DeleteQuiet:
                Reply(request, request.Key.IsEmpty || !request.Extras.IsEmpty ? Answer.InvalidArguments : ToAnswer(store.Delete(request.Key, request.Version)), 0);
                return true;
            case Code.Increment or Code.IncrementQuiet:
                Count(request, adds: true);
                return true;
            case Code.Decrement or Code.DecrementQuiet:
                Count(request, adds: false);
                return true;
            case Code.Flush or Code.FlushQuiet:
                Flush(request);
                return true;
            case Code.Noop:
                Reply(request, request.Key.IsEmpty && request.Extras.IsEmpty && request.Value.IsEmpty ? Answer.Done : Answer.InvalidArguments, 0);
                return true;
            case Code.Version:
                WriteHeader(request, Answer.Done, 0, 0, 0, ServerStatistics.Version.Length);
                output.Put(ServerStatistics.Version);
                return true;
            case Code.Statistics:
                Statistics(request.Opaque);
                return true;
            case Code.Quit:
                Reply(request, Answer.Done, 0);
                return false;
            case Code.QuitQuiet:
                return false;
            default:
                Reply(request, Answer.UnknownCommand, 0);
                return true;
        }
    }

    private static bool IsQuiet(Code code) => code is >= Code.SetQuiet and <= Code.PrependQuiet;

    private static Answer ToAnswer(StoreStatus status) => status switch
    {
        StoreStatus.Done => Answer.Done,
        StoreStatus.NotFound => Answer.NotFound,
        StoreStatus.Exists => Answer.Exists,
        StoreStatus.NotANumber => Answer.NotANumber,
        StoreStatus.TooLarge => Answer.TooLarge,
        StoreStatus.OutOfMemory => Answer.OutOfMemory,
        _ => Answer.NotStored,
    };

    private void Get(Request request)
    {
        bool withKey = request.Code is Code.GetKey or Code.GetKeyQuiet;
        if (request.Key.IsEmpty || !request.Extras.IsEmpty || !request.Value.IsEmpty)
        {
            Reply(request, Answer.InvalidArguments, 0);
            return;
        }

        ValueReply reply = new() { Owner = this, Request = request, WithKey = withKey };
        if (!store.TryGet(request.Key, ref reply) && request.Code is Code.Get or Code.GetKey)
        {
            ReadOnlySpan<byte> key = withKey ? request.Key : default;
            WriteHeader(request, Answer.NotFound, 0, key.Length, 0, key.Length);
            output.Put(key);
        }
    }

    private void Store(Request request, StoreMode mode)
    {
        bool joins = mode is StoreMode.Append or StoreMode.Prepend;
        if (request.Key.IsEmpty || request.Key.Length > Bytes.KeyBytesMax || request.Extras.Length != (joins ? 0 : 8))
        {
            Reply(request, Answer.InvalidArguments, 0);
            return;
        }

        if (request.Value.Length > Bytes.ValueBytesMax)
        {
            Reply(request, Answer.TooLarge, 0);
            return;
        }

        uint flags = joins ? 0 : BinaryPrimitives.ReadUInt32BigEndian(request.Extras);
        uint expiry = joins ? 0 : Bytes.Expiry(BinaryPrimitives.ReadUInt32BigEndian(request.Extras[4..]), store.Now);
        StoreStatus status = store.Store(mode, request.Key, request.Value, flags, expiry, request.Version, out ulong version);

        // Replacing what is not there is not found here; joining it is not stored.
        Reply(request, status == StoreStatus.NotStored && mode == StoreMode.Replace ? Answer.NotFound : ToAnswer(status), version);
    }

    private void Count(Request request, bool adds)
    {
        if (request.Key.IsEmpty || request.Extras.Length != 20 || !request.Value.IsEmpty)
        {
            Reply(request, Answer.InvalidArguments, 0);
            return;
        }

        ulong delta = BinaryPrimitives.ReadUInt64BigEndian(request.Extras);
        uint seconds = BinaryPrimitives.ReadUInt32BigEndian(request.Extras[16..]);
        ulong? initial = seconds == NeverCreate ? null : BinaryPrimitives.ReadUInt64BigEndian(request.Extras[8..]);
        uint expiry = initial == null ? 0 : Bytes.Expiry(seconds, store.Now);
        StoreStatus status = store.Count(request.Key, adds, delta, initial, expiry, request.Version, out ulong number, out ulong version);
        if (status != StoreStatus.Done || IsQuiet(request.Code))
        {
            Reply(request, ToAnswer(status), version);
            return;
        }

        WriteHeader(request, Answer.Done, version, 0, 0, sizeof(ulong));
        BinaryPrimitives.WriteUInt64BigEndian(output.GetSpan(sizeof(ulong)), number);
        output.Advance(sizeof(ulong));
    }

    private void Flush(Request request)
    {
        if (!request.Key.IsEmpty || request.Extras.Length is not (0 or 4))
        {
            Reply(request, Answer.InvalidArguments, 0);
            return;
        }

        uint seconds = request.Extras.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32BigEndian(request.Extras);
        store.Flush(seconds == 0 ? 0 : Bytes.Expiry(seconds, store.Now));
        Reply(request, Answer.Done, 0);
    }

    /// <summary>A frame for each, and an empty one.</summary>
    private void Statistics(uint opaque)
    {
        ServerStatistics.Visit(store, (Owner: this, Opaque: opaque), static (state, name, value) => state.Owner.PutStatistic(state.Opaque, name, value));
        WriteHeader(Code.Statistics, opaque, Answer.Done, 0, 0, 0, 0);
    }

    private void PutStatistic(uint opaque, string name, ulong value)
    {
        Span<byte> digits = stackalloc byte[20];
        _ = System.Buffers.Text.Utf8Formatter.TryFormat(value, digits, out int count);
        WriteHeader(Code.Statistics, opaque, Answer.Done, 0, name.Length, 0, name.Length + count);
        _ = Encoding.ASCII.GetBytes(name.AsSpan(), output);
        output.Put(digits[..count]);
    }

    /// <summary>Only what went wrong is told where the request is a quiet one.</summary>
    private void Reply(Request request, Answer answer, ulong version)
    {
        if (answer != Answer.Done || !IsQuiet(request.Code))
        {
            WriteHeader(request, answer, version, 0, 0, 0);
        }
    }

    private void WriteHeader(Request request, Answer answer, ulong version, int keyBytes, int extraBytes, int bodyBytes) =>
        WriteHeader(request.Code, request.Opaque, answer, version, keyBytes, extraBytes, bodyBytes);

    private void WriteHeader(Code code, uint opaque, Answer answer, ulong version, int keyBytes, int extraBytes, int bodyBytes)
    {
        Span<byte> header = output.GetSpan(HeaderBytes)[..HeaderBytes];
        header.Clear();
        header[0] = ResponseMagic;
        header[1] = (byte)code;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)keyBytes);
        header[4] = (byte)extraBytes;
        BinaryPrimitives.WriteUInt16BigEndian(header[6..], (ushort)answer);
        BinaryPrimitives.WriteUInt32BigEndian(header[8..], (uint)bodyBytes);
        BinaryPrimitives.WriteUInt32BigEndian(header[12..], opaque);
        BinaryPrimitives.WriteUInt64BigEndian(header[16..], version);
        output.Advance(HeaderBytes);
    }

    /// <summary>Writes the answer to a get: the flags, the key if asked for, the value.</summary>
    private ref struct ValueReply : IItemReader
    {
        public BinaryProtocol Owner;
        public Request Request;
        public bool WithKey;

        public readonly void Read(ReadOnlySpan<byte> value, uint flags, ulong version)
        {
            const int FlagsBytes = 4;
            ReadOnlySpan<byte> key = WithKey ? Request.Key : default;
            PipeWriter to = Owner.Output;
            Owner.WriteHeader(Request, Answer.Done, version, key.Length, FlagsBytes, FlagsBytes + key.Length + value.Length);
            BinaryPrimitives.WriteUInt32BigEndian(to.GetSpan(FlagsBytes), flags);
            to.Advance(FlagsBytes);
            to.Put(key);
            to.Put(value);
        }
    }

    private PipeWriter Output => output;
}
