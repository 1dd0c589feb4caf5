using System;
using System.Collections.Generic;
using System.Text.Json;

namespace Parser;

/// <summary>A document that was parsed. Disposing it frees all of it.</summary>
internal interface IDocument : IDisposable
{
    /// <summary>Values in it, also those that hold others.</summary>
    public long Values { get; }

    /// <summary>Values in a part of it, with that itself.</summary>
    /// <exception cref="BadInputException">There is no such part.</exception>
    public long Count(JsonPath path);

    /// <summary>Writes a part of it, as short as it goes.</summary>
    /// <exception cref="BadInputException">There is no such part.</exception>
    public void Write(JsonPath path, Utf8JsonWriter writer);

    /// <summary>What it keeps where, in bytes.</summary>
    public IEnumerable<(string Name, long Bytes)> Parts { get; }
}
