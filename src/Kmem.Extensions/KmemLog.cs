using System;
using Microsoft.Extensions.Logging;

namespace Kmem.Extensions;

/// <summary>What Kmem writes to the log.</summary>
internal static partial class KmemLog
{
    [LoggerMessage(EventId = 1, Message = "Kmem: {Misuse} in {Operation}: heap '{HeapName}', cache '{CacheName}', address 0x{Address:x}, {RequestedBytes} bytes\n{Report}", EventName = "Report")]
    public static partial void Report(ILogger logger, LogLevel level, KmemMisuse misuse, string operation, string heapName, string cacheName, ulong address, ulong requestedBytes, string report);

    [LoggerMessage(2, LogLevel.Warning, "Kmem: {Count} reports came faster than the log took them", EventName = "ReportsLost")]
    public static partial void ReportsLost(ILogger logger, long count);

    [LoggerMessage(3, LogLevel.Warning, "Kmem: maintenance of the heap '{HeapName}' found {Misuse}", EventName = "FoundInMaintenance")]
    public static partial void FoundInMaintenance(ILogger logger, string heapName, KmemMisuse misuse, Exception exception);

    [LoggerMessage(4, LogLevel.Information, "Kmem: heap '{HeapName}' ({FrontEnd}), maintenance every {Interval}", EventName = "Started")]
    public static partial void Started(ILogger logger, string heapName, KmemFrontEnd frontEnd, TimeSpan interval);
}
