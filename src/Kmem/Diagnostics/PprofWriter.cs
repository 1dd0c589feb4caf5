using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Text;

namespace Kmem.Diagnostics;

/// <summary>A profile as profile.proto, compressed by gzip.</summary>
/// <remarks>Source: google/pprof, proto/profile.proto; the wire format is that of Protocol Buffers. Numbers of fields stand where they are written.</remarks>
internal sealed class PprofWriter
{
    private readonly Dictionary<string, int> _strings = new(StringComparer.Ordinal) { [""] = 0 };
    private readonly List<string> _stringTable = [""];
    private readonly Dictionary<Frame, int> _locations = [];
    private readonly Dictionary<(string Name, string File), int> _functions = [];
    private readonly ProtoMessage _profile = new();

    public static void Write(KmemProfile profile, Stream stream)
    {
        PprofWriter writer = new();
        writer.Fill(profile);
        using GZipStream compressed = new(stream, CompressionLevel.Fastest, leaveOpen: true);
        writer._profile.CopyTo(compressed);
    }

    private void Fill(KmemProfile profile)
    {
        (string Type, string Unit)[] types = [("inuse_objects", "count"), ("inuse_space", "bytes"), ("alloc_objects", "count"), ("alloc_space", "bytes")];
        foreach ((string type, string unit) in types)
        {
            _profile.Message(1, ValueType(type, unit));
        }

        foreach (KmemProfileSite site in profile.Sites)
        {
            List<ulong> locations = [];
            foreach (string frame in site.Frames)
            {
                locations.Add((ulong)Location(Frame.Of(frame)));
            }

            ProtoMessage sample = new();
            sample.Packed(1, locations);
            sample.Packed(2, [(ulong)site.LiveObjects, (ulong)site.LiveBytes, (ulong)site.TotalObjects, (ulong)site.TotalBytes]);
            _profile.Message(2, sample);
        }

        int defaultType = String("inuse_space");
        int comment = String($"Kmem heap '{profile.HeapName}'");
        _profile.Number(9, (ulong)(profile.TakenAt - DateTimeOffset.UnixEpoch).Ticks * 100);
        _profile.Message(11, ValueType("space", "bytes"));
        _profile.Number(12, (ulong)profile.IntervalBytes);
        _profile.Packed(13, [(ulong)comment]);
        _profile.Number(14, (ulong)defaultType);
        foreach (string each in _stringTable)
        {
            _profile.Text(6, each);
        }
    }

    private ProtoMessage ValueType(string type, string unit)
    {
        ProtoMessage message = new();
        message.Number(1, (ulong)String(type));
        message.Number(2, (ulong)String(unit));
        return message;
    }

    private int Location(Frame frame)
    {
        if (!_locations.TryGetValue(frame, out int id))
        {
            _locations.Add(frame, id = _locations.Count + 1);
            ProtoMessage line = new();
            line.Number(1, (ulong)Function(frame));
            line.Number(2, (ulong)frame.Line);
            ProtoMessage location = new();
            location.Number(1, (ulong)id);
            location.Message(4, line);
            _profile.Message(4, location);
        }

        return id;
    }

    private int Function(Frame frame)
    {
        if (!_functions.TryGetValue((frame.Name, frame.File), out int id))
        {
            _functions.Add((frame.Name, frame.File), id = _functions.Count + 1);
            ProtoMessage function = new();
            function.Number(1, (ulong)id);
            function.Number(2, (ulong)String(frame.Name));
            function.Number(3, (ulong)String(frame.Name));
            function.Number(4, (ulong)String(frame.File));
            _profile.Message(5, function);
        }

        return id;
    }

    private int String(string text)
    {
        if (!_strings.TryGetValue(text, out int index))
        {
            _strings.Add(text, index = _stringTable.Count);
            _stringTable.Add(text);
        }

        return index;
    }
}

/// <summary>A message of Protocol Buffers as it is written: keys, numbers of 7 bits a byte, and what has a length.</summary>
internal sealed class ProtoMessage
{
    private const int WireNumber = 0;
    private const int WireBytes = 2;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    /// <summary>0 is what a reader takes a missing one for, and is left out.</summary>
    public void Number(int field, ulong value)
    {
        if (value != 0)
        {
            Key(field, WireNumber);
            Varint(value);
        }
    }

    public void Packed(int field, IReadOnlyList<ulong> values)
    {
        ProtoMessage packed = new();
        foreach (ulong value in values)
        {
            packed.Varint(value);
        }

        Message(field, packed);
    }

    /// <summary>Written also if it is empty: the first of pprof's strings is.</summary>
    public void Text(int field, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        Key(field, WireBytes);
        Varint((ulong)utf8.Length);
        _bytes.Write(utf8);
    }

    public void Message(int field, ProtoMessage message)
    {
        Key(field, WireBytes);
        Varint((ulong)message._bytes.WrittenCount);
        _bytes.Write(message._bytes.WrittenSpan);
    }

    public void CopyTo(Stream stream) => stream.Write(_bytes.WrittenSpan);

    private void Key(int field, int wire) => Varint((ulong)((field << 3) | wire));

    private void Varint(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            _bytes.Write([(byte)(value | 0x80)]);
        }

        _bytes.Write([(byte)value]);
    }
}
