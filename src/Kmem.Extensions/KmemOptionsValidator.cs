using System;
using System.Collections.Generic;
using Microsoft.Extensions.Options;

namespace Kmem.Extensions;

/// <summary>Says which option is out of range, and what would do.</summary>
public sealed class KmemOptionsValidator : IValidateOptions<KmemOptions>
{
    private const long MaxBytesMin = 16 << 20;
    private const long ProfileIntervalMax = 1L << 40;
    private const string Letters = "FZPUTAG-";
    private const int NameCharactersMax = 64;

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, KmemOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        List<string> failures = [];
        if (options.HeapName == null)
        {
            RefuseForShared(failures, options.MaxBytes != null, nameof(KmemOptions.MaxBytes));
            RefuseForShared(failures, options.PurgeDelay != null, nameof(KmemOptions.PurgeDelay));
            RefuseForShared(failures, options.MisusePolicy != null, nameof(KmemOptions.MisusePolicy));
            RefuseForShared(failures, options.ReportLeaksAtDispose, nameof(KmemOptions.ReportLeaksAtDispose));
        }
        else if (string.IsNullOrWhiteSpace(options.HeapName) || options.HeapName.Length > NameCharactersMax)
        {
            failures.Add($"{nameof(KmemOptions.HeapName)} has 1 to {NameCharactersMax} characters, or is left out for the shared heap; it is '{options.HeapName}'.");
        }

        if (options.MaxBytes < MaxBytesMin)
        {
            failures.Add($"{nameof(KmemOptions.MaxBytes)} is at least {MaxBytesMin} (16 MiB), not {options.MaxBytes}.");
        }

        Check(failures, options.PurgeDelay, nameof(KmemOptions.PurgeDelay), TimeSpan.Zero);
        Check(failures, options.MaintenanceInterval, nameof(KmemOptions.MaintenanceInterval), TimeSpan.FromMilliseconds(100));
        Check(failures, options.GuardInterval, nameof(KmemOptions.GuardInterval), TimeSpan.FromMilliseconds(1));
        if (options.MisusePolicy is KmemMisusePolicy policy && !Enum.IsDefined(policy))
        {
            failures.Add($"{nameof(KmemOptions.MisusePolicy)} is one of {string.Join(", ", Enum.GetNames<KmemMisusePolicy>())}, not {policy}.");
        }

        if (options.ProfileIntervalBytes is < 0 or > ProfileIntervalMax)
        {
            failures.Add($"{nameof(KmemOptions.ProfileIntervalBytes)} is 0 to {ProfileIntervalMax}, not {options.ProfileIntervalBytes}.");
        }

        if (options.Debug != null)
        {
            CheckLetters(failures, options.Debug);
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static void RefuseForShared(List<string> failures, bool isSet, string option)
    {
        if (isSet)
        {
            failures.Add($"{option} is for a heap of the host's own: set {nameof(KmemOptions.HeapName)}, too, or leave {option} out. The shared heap is made before there are options.");
        }
    }

    private static void Check(List<string> failures, TimeSpan? value, string option, TimeSpan least)
    {
        if (value is TimeSpan set && set != TimeSpan.Zero && (set < least || set > TimeSpan.FromDays(1)))
        {
            failures.Add(least == TimeSpan.Zero ? $"{option} is 0 to a day, not {set}." : $"{option} is 0, or {least.TotalMilliseconds} ms to a day, not {set}.");
        }
    }

    /// <summary>The form of <see cref="KmemHeapOptions.Debug"/>: letters, a comma and names; blocks apart by semicolons.</summary>
    private static void CheckLetters(List<string> failures, string debug)
    {
        foreach (string block in debug.Split(';'))
        {
            foreach (char letter in block.Split(',')[0].Trim())
            {
                if (!Letters.Contains(letter, StringComparison.OrdinalIgnoreCase))
                {
                    failures.Add($"{nameof(KmemOptions.Debug)} has the letters F, Z, P, U, T, A and G, or -, before names; '{letter}' in '{debug}' is none of them.");
                    return;
                }
            }
        }
    }
}
