using System;
using Microsoft.Extensions.Logging;

namespace Kmem.AspNetCore.Transport;

/// <summary>What the transport writes to the log.</summary>
internal static partial class TransportLog
{
    [LoggerMessage(1, LogLevel.Debug, "A connection was reset before it was accepted", EventName = "AcceptFailed")]
    public static partial void AcceptFailed(ILogger logger, Exception exception);

    [LoggerMessage(2, LogLevel.Debug, "Connection {ConnectionId} was reset", EventName = "Reset")]
    public static partial void Reset(ILogger logger, string connectionId);

    [LoggerMessage(3, LogLevel.Debug, "Connection {ConnectionId} received the end of the client's data", EventName = "ReadFin")]
    public static partial void ReadFin(ILogger logger, string connectionId);

    [LoggerMessage(4, LogLevel.Debug, "Connection {ConnectionId} closes: {Reason}", EventName = "Closes")]
    public static partial void Closes(ILogger logger, string connectionId, string reason);

    [LoggerMessage(5, LogLevel.Debug, "Connection {ConnectionId} failed", EventName = "Failed")]
    public static partial void Failed(ILogger logger, string connectionId, Exception exception);

    [LoggerMessage(6, LogLevel.Error, "Connection {ConnectionId}: unexpected exception in the transport", EventName = "Unexpected")]
    public static partial void Unexpected(ILogger logger, string connectionId, Exception exception);
}
